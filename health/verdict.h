/*
 * health/verdict.h: when results become a verdict. Pure: no clock, no table, no I/O. A verdict
 * changes after a number of consecutive results against it (healthy_threshold,
 * unhealthy_threshold); one result for it starts the count again. An unknown backend is the
 * exception: its first success decides at once, so that a new backend serves as soon as it answers,
 * while failures are counted like those of a healthy one.
 */
#ifndef BALLAST_HEALTH_VERDICT_H
#define BALLAST_HEALTH_VERDICT_H

#include "shm/layout.h"

struct verdict {
    enum entry_health health;
    uint32_t streak; /* consecutive results against health */
};

/* The verdict after one more result. Thresholds below 1 count as 1. */
struct verdict verdict_next(struct verdict v, bool passed, uint32_t healthy_threshold,
                            uint32_t unhealthy_threshold);
/* Is it about to change? Such a backend is checked at a faster pace. */
static inline bool verdict_unsure(struct verdict v)
{
    return v.streak > 0;
}

#endif
