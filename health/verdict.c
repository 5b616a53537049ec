#include "health/verdict.h"

static struct verdict settle(enum entry_health health)
{
    return (struct verdict){.health = health, .streak = 0};
}

/* One more result against v: it turns into `turned` when the threshold is reached. */
static struct verdict doubt(struct verdict v, uint32_t threshold, enum entry_health turned)
{
    if (v.streak + 1 >= threshold)
        return settle(turned);
    return (struct verdict){.health = v.health, .streak = v.streak + 1};
}

struct verdict verdict_next(struct verdict v, bool passed, uint32_t healthy_threshold,
                            uint32_t unhealthy_threshold)
{
    if (!passed)
        return v.health == HEALTH_UNHEALTHY ? settle(v.health)
                                            : doubt(v, unhealthy_threshold, HEALTH_UNHEALTHY);
    return v.health == HEALTH_UNHEALTHY ? doubt(v, healthy_threshold, HEALTH_HEALTHY)
                                        : settle(HEALTH_HEALTHY);
}
