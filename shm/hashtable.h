/*
 * shm/hashtable.h: the tables of the hash algorithms: a ring of points, or Maglev's lookup table.
 * One per pool, in the table, built once per change of membership or weight by the process that
 * makes the change (master, admin), when it gives the lock back; so 10,000 backends added under one
 * lock cost one build. Workers only read. What is unusable stays in: health moves no other key.
 *
 * A place depends on a backend's name and weight and on nothing else: hosts and restarts agree.
 * The heap has no books of its own: free is what no pool's descriptor names, so a builder that is
 * killed loses nothing. A new table is written beside the old one, then the descriptor is switched
 * under a sequence number; the old bytes may be overwritten by a later build while somebody still
 * reads them. So: open, read, and believe it only if it is still current. Memory never goes away.
 */
#ifndef BALLAST_SHM_HASHTABLE_H
#define BALLAST_SHM_HASHTABLE_H

#include "shm/count.h"

enum hashtable_kind { HASHTABLE_NONE, HASHTABLE_RING, HASHTABLE_MAGLEV };

#define HASHTABLE_RING_MAX   (1u << 22) /* points; larger weights are scaled down */
#define HASHTABLE_UNIT_BYTES 4096u
#define HASHTABLE_UNITS      131072u /* 512 MiB of address space */

/* What the pool's algorithm needs. Lock held. */
void hashtable_set_kind(struct table *t, uint32_t pool, enum hashtable_kind kind);
/* Membership or weight of the pool changed: its table is built again at unlock. Lock held. */
void hashtable_mark(struct table *t, uint32_t pool);
/* Builds what was marked. Called by table_unlock. Without memory the old table stays, and says so
 * in the log. */
void hashtable_publish(struct table *t);

struct hashtable {
    const void *base;
    uint32_t count; /* points, or places */
    uint32_t seq;
};
/* False: the pool has no table of this kind (now). */
bool hashtable_open(const struct table *t, uint32_t pool, enum hashtable_kind kind,
                    struct hashtable *out);
bool hashtable_current(const struct table *t, uint32_t pool, const struct hashtable *h);

/* Number of the first point at or after the key; count > 0. */
uint32_t hashtable_ring_find(const struct hashtable *h, uint64_t key);
/* The entry index of a point or place: anything, when the table is no longer current. */
static inline uint32_t hashtable_ring_at(const struct hashtable *h, uint32_t point)
{
    return (uint32_t)(((const uint64_t *)h->base)[point] & 0xffff);
}
static inline uint32_t hashtable_maglev_at(const struct hashtable *h, uint64_t key)
{
    return ((const uint32_t *)h->base)[key % h->count];
}

#endif
