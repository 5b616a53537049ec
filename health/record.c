#include "health/record.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "shm/events.h"
#include "shm/pool.h"

#define OBJECT_MAX_BYTES (2 * NAME_MAX_BYTES)

/* Sets a word of which this process is the only writer. */
static void set64(atom64 *word, uint64_t v)
{
    count_add(word, v - count_get(word));
}

static void write_object(const struct table *t, const struct entry *e, char *out, size_t cap)
{
    snprintf(out, cap, "%s:%s", pool_at(t, word_get(&e->pool))->name, e->name);
}

struct verdict record_read(const struct table *t, uint32_t index)
{
    const struct entry *e = entry_at(t, index);
    return (struct verdict){.health = (enum entry_health)word_get(&e->health),
                            .streak = word_get(&e->health_streak)};
}

/* Makes the verdict known; a change is an event. */
static void announce(struct table *t, uint32_t slot, uint32_t index, enum entry_health to,
                     const char *reason)
{
    struct entry *e = entry_at(t, index);
    char object[OBJECT_MAX_BYTES];
    enum entry_health from = (enum entry_health)word_get(&e->health);
    if (!entry_set_health(t, index, to))
        return;
    write_object(t, e, object, sizeof(object));
    event_write(t, slot, "health", object, entry_health_name(from), entry_health_name(to), reason);
}

static void count_result(struct entry *e, const struct check_result *r)
{
    count_add(r->outcome == CHECK_PASSED ? &e->checks_ok : &e->checks_failed, 1);
    word_set(&e->health_latency_us, r->latency_us);
    word_set(&e->health_code, r->code);
    set64(&e->health_checked_us, clock_mono_us());
}

void record_write(struct table *t, uint32_t slot, uint32_t index, const struct check_result *r,
                  struct verdict v)
{
    struct entry *e = entry_at(t, index);
    count_result(e, r);
    word_set(&e->health_streak, v.streak);
    if (r->outcome == CHECK_FAILED)
        log_debug("health check failed: backend=%s streak=%u reason=\"%s\"", e->name, v.streak,
                  r->reason);
    announce(t, slot, index, v.health, r->reason);
}

void record_trust(struct table *t, uint32_t slot, uint32_t index)
{
    struct entry *e = entry_at(t, index);
    word_set(&e->health_streak, 0);
    if (word_get(&e->health) == HEALTH_UNHEALTHY)
        announce(t, slot, index, HEALTH_HEALTHY, "no health check is configured");
    else
        (void)entry_set_health(t, index, HEALTH_HEALTHY);
}
