/*
 * shm/stick.h: which backend a client belongs to, for affinity by header or address (the cookie
 * carries it by itself). A table of fixed size, a word per client, changed by compare-and-swap; a
 * bucket is a cache line, and a new client in a full one takes the place that was not used for
 * longest, of the pool that has most of them: a flood of clients pushes out its own, and those of
 * another pool only as far as that has more than its share. A word names the client by 28 bits of
 * its key besides the bucket: two clients in hundreds of millions share one, and go to the same
 * backend then.
 */
#ifndef BALLAST_SHM_STICK_H
#define BALLAST_SHM_STICK_H

#include "shm/table.h"

/* Gives the table its memory. Master; lock held. 0, or -1 with errno. */
int stick_reserve(struct table *t) MUST_CHECK;
/* The entry of this client, or INDEX_NONE: never seen, or not for ttl_ms. The caller looks whether
 * the entry still is what it was. Being asked keeps it. */
uint32_t stick_get(struct table *t, uint64_t key, uint32_t ttl_ms, uint64_t now_us);
void stick_put(struct table *t, uint64_t key, uint32_t entry, uint64_t now_us);
/* It belongs to nobody any more. */
void stick_drop(struct table *t, uint64_t key);

#endif
