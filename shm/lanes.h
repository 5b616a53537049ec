/*
 * shm/lanes.h: exact limits without a lock. A gauge is an array of lanes, one per slot, each
 * written by its own process only (and zeroed by the master when that process is dead). Reserve
 * before acting: take a place in one's own lane, then sum all lanes; the takes are sequentially
 * consistent, so of two processes that take the last place at once at least one sees both and gives
 * its own back. Both may: hence the few attempts.
 */
#ifndef BALLAST_SHM_LANES_H
#define BALLAST_SHM_LANES_H

#include <assert.h>
#include "shm/layout.h"

#define LANES_ATTEMPTS 3

static inline void lanes_take(atom32 *lanes, uint32_t slot)
{
    atomic_fetch_add(&lanes[slot], 1);
}
/* Takes a place where there is no limit to hold: nobody's decision hangs on the order. */
static inline void lanes_count(atom32 *lanes, uint32_t slot)
{
    uint32_t held = atomic_load_explicit(&lanes[slot], memory_order_relaxed);
    atomic_store_explicit(&lanes[slot], held + 1, memory_order_relaxed);
}
/* Single writer: a load and a store. What was done while holding the place is visible before the
 * place is. */
static inline void lanes_give(atom32 *lanes, uint32_t slot)
{
    uint32_t held = atomic_load_explicit(&lanes[slot], memory_order_relaxed);
    assert(held > 0);
    atomic_store_explicit(&lanes[slot], held - 1, memory_order_release);
}
static inline uint32_t lanes_sum(const atom32 *lanes, uint32_t count)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += atomic_load(&lanes[i]);
    return sum;
}
/* What processes hold, and what is granted to clients (shm/grant.h): it stands before the lanes, so
 * that it costs no other cache line. */
static inline uint32_t lanes_all(const atom32 *leased, const atom32 *lanes, uint32_t count)
{
    return atomic_load(leased) + lanes_sum(lanes, count);
}
/* limit 0: none. */
static inline bool lanes_fit(const atom32 *lanes, uint32_t count, uint32_t limit)
{
    return limit == 0 || lanes_sum(lanes, count) <= limit;
}

#endif
