/*
 * health/resolve_apply.h: makes the entries of a name what was found: under the table's lock, with
 * an event for each that comes or goes. No network.
 */
#ifndef BALLAST_HEALTH_RESOLVE_APPLY_H
#define BALLAST_HEALTH_RESOLVE_APPLY_H

#include "conf/conf.h"
#include "shm/table.h"

#define RESOLVE_FOUND_MAX 64u

struct resolve_address {
    struct net_addr addr;
    uint32_t weight;
    bool backup;
};

struct resolve_found {
    uint32_t count;
    bool partial; /* some of it could not be looked up: nothing is taken away */
    struct resolve_address list[RESOLVE_FOUND_MAX];
};

/* Adds an address unless it is there already. */
void resolve_found_add(struct resolve_found *f, const struct resolve_address *a);
/* slot: of this process. */
void resolve_apply(struct table *t, uint32_t slot, const struct conf_pool *pool,
                   const struct conf_backend *b, uint32_t source, const struct resolve_found *f);
/* Takes away the entries whose source is not among these. */
void resolve_forget_others(struct table *t, uint32_t slot, const uint32_t *sources, uint32_t count);

#endif
