/*
 * shm/hashtable.c: see shm/hashtable.h. The heap: where a table lies, and how it is switched. What
 * is in it: shm/hashtable_build.c.
 */
#include "shm/hashtable.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "shm/pool.h"
#include "shm/table_int.h"

#define NEAR 16u /* points: the first step from where a key would be */

void hashtable_mark(struct table *t, uint32_t pool)
{
    struct pool_row *p = pool_at(t, pool);
    if (word_get(&p->hash_kind) == HASHTABLE_NONE && word_get(&p->hash_count) == 0)
        return;
    word_set(&p->hash_dirty, 1);
    word_set(&t->header->hash_dirty, 1);
}

void hashtable_set_kind(struct table *t, uint32_t pool, enum hashtable_kind kind)
{
    struct pool_row *p = pool_at(t, pool);
    if (word_get(&p->hash_kind) == (uint32_t)kind)
        return;
    word_set(&p->hash_kind, kind);
    hashtable_mark(t, pool);
}

/* ---- the heap -------------------------------------------------------------------------------- */

struct extent {
    uint32_t unit, units;
};

static uint32_t units_of(uint32_t kind, uint32_t count)
{
    uint64_t bytes =
        (uint64_t)count * (kind == HASHTABLE_RING ? sizeof(uint64_t) : sizeof(uint32_t));
    return (uint32_t)((bytes + HASHTABLE_UNIT_BYTES - 1) / HASHTABLE_UNIT_BYTES);
}

static int compare_extents(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

static uint32_t collect_extents(const struct table *t, struct extent *out)
{
    uint32_t n = 0, high = word_get(&t->header->pools_high);
    for (uint32_t i = 0; i < high; i++) {
        const struct pool_row *p = pool_at(t, i);
        uint32_t units = units_of(word_get(&p->hash_built), word_get(&p->hash_count));
        if (units)
            out[n++] = (struct extent){word_get(&p->hash_unit), units};
    }
    qsort(out, n, sizeof *out, compare_extents);
    return n;
}

/* The first gap that is large enough, backed with memory; INDEX_NONE: no memory. */
static uint32_t find_place(struct table *t, uint32_t units)
{
    struct extent *used = malloc((word_get(&t->header->pools_high) + 1) * sizeof *used);
    if (!used)
        return INDEX_NONE;
    uint32_t n = collect_extents(t, used), at = 0;
    for (uint32_t i = 0; i < n && used[i].unit - at < units; i++)
        at = used[i].unit + used[i].units;
    free(used);
    if (at + units > HASHTABLE_UNITS || table_reserve_hash(t, at + units) == -1)
        return INDEX_NONE;
    return at;
}

/* ---- switching ------------------------------------------------------------------------------- */

static void switch_to(struct pool_row *p, uint32_t kind, uint32_t unit, uint32_t count)
{
    atomic_store_explicit(&p->hash_seq, word_get(&p->hash_seq) | 1u, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    word_set(&p->hash_built, kind);
    word_set(&p->hash_unit, unit);
    word_set(&p->hash_count, count);
    word_set(&p->hash_seq, word_get(&p->hash_seq) + 1);
}

static int rebuild(struct table *t, uint32_t pool)
{
    struct pool_row *p = pool_at(t, pool);
    uint32_t kind = word_get(&p->hash_kind), count = 0;
    void *made = NULL;
    if (kind != HASHTABLE_NONE && hashtable_build(t, pool, kind, &made, &count) == -1)
        return -1;
    if (count == 0) {
        switch_to(p, HASHTABLE_NONE, 0, 0);
        return 0;
    }
    uint32_t unit = find_place(t, units_of(kind, count));
    if (unit != INDEX_NONE) {
        size_t bytes = count * (kind == HASHTABLE_RING ? sizeof(uint64_t) : sizeof(uint32_t));
        memcpy(t->hash + (size_t)unit * HASHTABLE_UNIT_BYTES, made, bytes);
        switch_to(p, kind, unit, count);
    }
    free(made);
    return unit == INDEX_NONE ? -1 : 0;
}

void hashtable_publish(struct table *t)
{
    uint32_t high = word_get(&t->header->pools_high);
    if (LIKELY(word_get(&t->header->hash_dirty) == 0))
        return;
    word_set(&t->header->hash_dirty, 0);
    for (uint32_t i = 0; i < high; i++) {
        struct pool_row *p = pool_at(t, i);
        if (word_get(&p->hash_dirty) == 0)
            continue;
        word_set(&p->hash_dirty, 0);
        if (rebuild(t, i) == -1)
            log_warning("pool %s: no memory for its new hash table: the old one stays until the "
                        "next change",
                        p->name);
    }
}

bool hashtable_open(const struct table *t, uint32_t pool, enum hashtable_kind kind,
                    struct hashtable *out)
{
    const struct pool_row *p = pool_at(t, pool);
    out->seq = word_get(&p->hash_seq);
    uint32_t built = word_get(&p->hash_built), unit = word_get(&p->hash_unit);
    out->count = word_get(&p->hash_count);
    out->base = t->hash + (size_t)unit * HASHTABLE_UNIT_BYTES;
    return (out->seq & 1) == 0 && built == (uint32_t)kind && out->count > 0 &&
           (uint64_t)unit + units_of(kind, out->count) <= word_get(&t->header->hash_reserved) &&
           hashtable_current(t, pool, out);
}

bool hashtable_current(const struct table *t, uint32_t pool, const struct hashtable *h)
{
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&pool_at(t, pool)->hash_seq, memory_order_relaxed) == h->seq;
}

/*
 * Points are hashes, evenly spread: of n, the first at or after a key stands within a few sqrt(n)
 * of where it would be among even ones. Looked for in growing steps from there, few cache lines of
 * a large ring are touched. Before *low all are before the key; the one at *high is not, or is the
 * end.
 */
static void narrow(const uint64_t *points, uint32_t n, uint64_t key, uint32_t *low, uint32_t *high)
{
    uint32_t at = (uint32_t)((key >> 32) * n >> 32), step = NEAR;
    if (points[at] < key) {
        *low = at + 1;
        for (; *low + step < n && points[*low + step] < key; step *= 2)
            *low += step + 1;
        *high = *low + step < n ? *low + step : n;
    } else {
        *high = at;
        for (; *high > step && points[*high - step] >= key; step *= 2)
            *high -= step;
        *low = *high > step ? *high - step : 0;
    }
}

uint32_t hashtable_ring_find(const struct hashtable *h, uint64_t key)
{
    const uint64_t *points = h->base;
    uint32_t low, high;
    narrow(points, h->count, key, &low, &high);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (points[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low == h->count ? 0 : low;
}
