/* shm/ramp.c: see shm/ramp.h. */
#include "shm/ramp.h"

#include "base/clock.h"
#include "shm/pool.h"

#define US_PER_MS 1000u

void ramp_configure(struct table *t, uint32_t pool, uint32_t slow_start_ms)
{
    if (word_get(&t->pools[pool].slow_start_ms) == slow_start_ms)
        return;
    word_set(&t->pools[pool].slow_start_ms, slow_start_ms);
    pool_touch(t, pool);
}

void ramp_begin(struct table *t, uint32_t entry)
{
    struct entry *e = &t->entries[entry];
    bool slow = word_get(&t->pools[word_get(&e->pool)].slow_start_ms) != 0;
    atomic_store(&e->ramp_us, clock_mono_us());
    word_set(&e->ramp, slow ? 1 : RAMP_FULL);
}

uint32_t ramp_share(const struct table *t, const struct entry *e)
{
    uint32_t share = word_get(&e->ramp);
    bool slow = word_get(&t->pools[word_get(&e->pool)].slow_start_ms) != 0;
    return slow && share != 0 && share < RAMP_FULL ? share : RAMP_FULL;
}

uint64_t ramp_step_us(const struct table *t, uint32_t pool)
{
    return (uint64_t)word_get(&t->pools[pool].slow_start_ms) * US_PER_MS / RAMP_FULL;
}

static uint32_t share_at(const struct table *t, uint32_t pool, const struct entry *e,
                         uint64_t now_us)
{
    uint64_t step_us = ramp_step_us(t, pool), began_us = count_get(&e->ramp_us);
    uint64_t steps = step_us && now_us > began_us ? (now_us - began_us) / step_us : 0;
    if (step_us == 0 || steps >= RAMP_FULL)
        return RAMP_FULL;
    return steps < 1 ? 1 : (uint32_t)steps;
}

uint32_t ramp_share_at(const struct table *t, uint32_t pool, const struct entry *e, uint64_t now_us)
{
    uint32_t share = word_get(&e->ramp);
    return share != 0 && share < RAMP_FULL ? share_at(t, pool, e, now_us) : RAMP_FULL;
}

bool ramp_follow(struct table *t, uint32_t entry, uint64_t now_us)
{
    struct entry *e = &t->entries[entry];
    uint32_t before = word_get(&e->ramp);
    if (before == 0 || before >= RAMP_FULL)
        return false;
    uint32_t share = share_at(t, word_get(&e->pool), e, now_us);
    if (share <= before) /* another worker's clock was ahead */
        return false;
    word_set(&e->ramp, share);
    return true;
}
