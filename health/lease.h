/*
 * health/lease.h: who still refers to a generation. The schedule holds the current one; a running
 * check holds the one it began with, so that a reload neither cuts it short nor unmaps what it
 * reads. The last holder gives the generation back to the master.
 */
#ifndef BALLAST_HEALTH_LEASE_H
#define BALLAST_HEALTH_LEASE_H

#include "proc/role.h"

struct lease {
    const struct conf *conf;
    uint32_t holders;
};

/* One holder: the caller. NULL: no memory. */
struct lease *lease_new(const struct conf *conf) MUST_CHECK;
struct lease *lease_hold(struct lease *l);
/* The last one releases the generation (child_release) and frees the lease. */
void lease_drop(struct lease *l, struct child *child);

#endif
