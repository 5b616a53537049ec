/*
 * health/registry.h: ends the leases of backends that registered themselves and were not heard of
 * again. Time in which they could not be heard - this process or the admin process stood still -
 * does not count. Run by the health process.
 */
#ifndef BALLAST_HEALTH_REGISTRY_H
#define BALLAST_HEALTH_REGISTRY_H

#include "shm/table.h"

struct registry {
    uint64_t looked_us; /* 0: never */
};

/* Called about once a second. slot: of this process. Returns how many ended. */
uint32_t registry_look(struct registry *r, struct table *t, uint32_t slot, uint64_t now_us);

#endif
