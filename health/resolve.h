/*
 * health/resolve.h: backends by name: `resolve` looks their addresses up again and again, with
 * c-ares on the process's own loop. Each address is an entry of the pool that stays as it is while
 * the address does; a name that cannot be looked up keeps the addresses it had. Run by the health
 * process, which alone adds and removes these entries (origin discovery, with a source).
 */
#ifndef BALLAST_HEALTH_RESOLVE_H
#define BALLAST_HEALTH_RESOLVE_H

#include "proc/role.h"

struct resolve;

/* NULL: no memory. */
struct resolve *resolve_new(struct child *child) MUST_CHECK;
/* Follows child->conf from now on: what is no longer named goes, the rest is looked up at once. */
void resolve_begin(struct resolve *r);
/* Nothing is pending on the loop afterwards. */
void resolve_stop(struct resolve *r);
void resolve_free(struct resolve *r);

/* What entries of this backend have as their source; never 0. */
uint32_t resolve_source(const struct conf_pool *pool, const struct conf_backend *b);
/* The checks of an entry with this source, when its backend has its own; else NULL. */
const struct conf_health *resolve_health(const struct conf_pool *pool, uint32_t source);

#endif
