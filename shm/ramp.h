/*
 * shm/ramp.h: slow start: a backend that begins to take requests (added, enabled, found healthy,
 * its breaker closed, its time out over) gets its weight in 32 equal steps over the pool's
 * slow_start. Which step is a word of its row, computed from the time it began: the same in all
 * processes, and no reload begins it again.
 */
#ifndef BALLAST_SHM_RAMP_H
#define BALLAST_SHM_RAMP_H

#include "shm/count.h"

#define RAMP_FULL 32u

/* The pool's slow_start; 0: none. Master; the lock is held. */
void ramp_configure(struct table *t, uint32_t pool, uint32_t slow_start_ms);
/* The backend begins now. The caller touches the pool. */
void ramp_begin(struct table *t, uint32_t entry);
/* The share of its weight it has, in parts of RAMP_FULL; at least 1. */
uint32_t ramp_share(const struct table *t, const struct entry *e);
/* The share as of now, whether or not a worker brought it up to date: for those who only read. */
uint32_t ramp_share_at(const struct table *t, uint32_t pool, const struct entry *e,
                       uint64_t now_us);
/* Brings the share up to date; true when it changed. Any worker. */
bool ramp_follow(struct table *t, uint32_t entry, uint64_t now_us);
/* How long a step takes; 0: no slow start. */
uint64_t ramp_step_us(const struct table *t, uint32_t pool);

#endif
