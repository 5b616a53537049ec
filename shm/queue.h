/*
 * shm/queue.h: how many requests wait for a place in a pool, over all workers, and whose turn it
 * is. Each worker keeps its own requests in order and says how long the first of them has waited;
 * the one that has waited longest goes first. What a killed worker said is forgotten with its slot.
 */
#ifndef BALLAST_SHM_QUEUE_H
#define BALLAST_SHM_QUEUE_H

#include "shm/table.h"

/* One more waits on this slot; false: `size` do already, over all workers. */
bool queue_reserve(struct table *t, uint32_t pool, uint32_t slot, uint32_t size) MUST_CHECK;
void queue_release(struct table *t, uint32_t pool, uint32_t slot);
uint32_t queue_length(const struct table *t, uint32_t pool); /* over all workers */
/* Since when (clock_mono_us) this slot's first request has waited; 0: none waits. */
void queue_set_first(struct table *t, uint32_t pool, uint32_t slot, uint64_t since_us);
/* Has nobody waited longer than since_us? Those who said so before horizon_us are not counted: they
 * gave up, or their worker stands still. */
bool queue_is_first(const struct table *t, uint32_t pool, uint32_t slot, uint64_t since_us,
                    uint64_t horizon_us);

#endif
