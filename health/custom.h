/*
 * health/custom.h: the checks of a backend that registered itself and said how: http at a path of
 * its own, everything else as its pool has it. Health process only.
 */
#ifndef BALLAST_HEALTH_CUSTOM_H
#define BALLAST_HEALTH_CUSTOM_H

#include "conf/conf.h"
#include "shm/layout.h"

struct custom {
    struct conf_health health;
    struct conf_status_range expect;
};

/* Fills *custom, malloc'd when it is NULL, and returns its checks; without memory the pool's. check
 * is to live as long as they do. */
const struct conf_health *custom_make(struct custom **custom, const struct conf_health *pool,
                                      const struct entry_check *check);

#endif
