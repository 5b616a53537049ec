/*
 * shm/passive.h: passive health: failures that the traffic itself meets take a backend out for a
 * while. One atomic word per backend, changed by compare-and-swap by all workers. The last usable
 * backend of a pool is never taken out.
 */
#ifndef BALLAST_SHM_PASSIVE_H
#define BALLAST_SHM_PASSIVE_H

#include "shm/entry.h"

/* One more failure: the max_fails-th within fail_timeout_ms takes the backend out for as long
 * (event, view and recheck included). Returns true when it did. */
bool passive_failed(struct table *t, uint32_t entry, uint32_t slot, uint32_t max_fails,
                    uint32_t fail_timeout_ms, uint64_t now_us, const char *reason);
/* Is it taken out? */
bool passive_ejected(const struct entry *e);
/* Until when it is, in us of clock_mono_us; 0: it is not. */
uint64_t passive_until_us(const struct entry *e);
/* The passage of time, as breaker_tick. */
uint64_t passive_tick(struct table *t, uint32_t entry, uint32_t slot, uint64_t now_us,
                      bool *changed);
/* Back at once, the count at 0: an operator enabled it, or the pool has no passive checks any more.
 */
void passive_clear(struct table *t, uint32_t entry);

#endif
