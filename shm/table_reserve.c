/*
 * shm/table_reserve.c: memory behind the sparse table. What is reserved only grows; who reads
 * compares with header.*_reserved before touching a cell. Steps are a page or more, so that adding
 * rows one by one costs few system calls.
 */
#include "shm/stick.h"
#include "shm/table_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "shm/count.h"
#include "shm/grant.h"
#include "shm/rate.h"
#include "shm/slot.h"

#define ENTRY_STEP    32u
#define POOL_STEP     64u
#define LISTENER_STEP 4u
#define HASH_STEP     16u
#define LOADS_STEP    512u /* a page of leaves */
#define RATE_STEP     64u
#define CACHE_STEP    64u
#define GRANT_STEP    1024u /* a page of cells */

static int allocate(struct table *t, uint64_t offset_bytes, uint64_t len_bytes)
{
    int rc;
    do {
        rc = posix_fallocate(t->fd, (off_t)offset_bytes, (off_t)len_bytes);
    } while (rc == EINTR);
    errno = rc;
    return rc == 0 ? 0 : -1;
}

/* Makes items [first + *reserved, first + wanted) of a section real. */
static int extend(struct table *t, const struct table_section *s, uint64_t first, atom32 *reserved,
                  uint32_t wanted, uint32_t step)
{
    uint32_t have = word_get(reserved);
    if (wanted <= have)
        return 0;
    wanted = (wanted + step - 1) / step * step; /* the maxima are multiples of the steps */
    uint64_t from = s->offset_bytes + (first + have) * s->stride_bytes;
    if (allocate(t, from, (wanted - have) * s->stride_bytes) == -1)
        return -1;
    word_set(reserved, wanted);
    return 0;
}

static int extend_slot(struct table *t, uint32_t slot, uint32_t entries, uint32_t pools,
                       uint32_t listeners)
{
    struct table_header *h = t->header;
    if (extend(t, &h->cells, (uint64_t)slot * ENTRY_MAX, &h->cells_reserved[slot], entries,
               ENTRY_STEP) == -1)
        return -1;
    if (extend(t, &h->lcells, (uint64_t)slot * LISTENER_MAX, &h->lcells_reserved[slot], listeners,
               LISTENER_STEP) == -1)
        return -1;
    if (slot < SLOT_SERVICE_FIRST &&
        extend(t, &h->client_cells, (uint64_t)slot * CLIENTS_CELLS_MAX,
               &h->client_cells_reserved[slot], word_get(&h->client_cell_count), 512) == -1)
        return -1;
    if (extend(t, &h->cache_pins, (uint64_t)slot * CACHE_BLOCKS_MAX, &h->cache_pins_reserved[slot],
               word_get(&h->cache_reserved), CACHE_STEP) == -1)
        return -1;
    if (extend(t, &h->rcells, (uint64_t)slot * RATE_MAX, &h->rcells_reserved[slot],
               word_get(&h->rates_reserved), RATE_STEP) == -1)
        return -1;
    return extend(t, &h->pcells, (uint64_t)slot * POOL_MAX, &h->pcells_reserved[slot], pools,
                  POOL_STEP);
}

int table_reserve_for(struct table *t, uint32_t entries, uint32_t pools, uint32_t listeners,
                      uint32_t slot)
{
    struct table_header *h = t->header;
    if (extend(t, &h->entries, 0, &h->entries_reserved, entries, ENTRY_STEP) == -1 ||
        extend(t, &h->pools, 0, &h->pools_reserved, pools, POOL_STEP) == -1 ||
        extend(t, &h->listeners, 0, &h->listeners_reserved, listeners, LISTENER_STEP) == -1)
        return -1;
    uint32_t workers = word_get(&h->slots_high);
    for (uint32_t i = 0; i < SLOT_MAX; i++)
        if ((i < workers || i == slot || word_get(&t->slots[i].role) != SLOT_EMPTY) &&
            extend_slot(t, i, entries, pools, listeners) == -1)
            return -1;
    return 0;
}

int table_reserve_hash(struct table *t, uint32_t units)
{
    return extend(t, &t->header->hash, 0, &t->header->hash_reserved, units, HASH_STEP);
}

int table_reserve_loads(struct table *t, uint32_t pool, uint32_t places)
{
    atom32 *reserved = &t->pools[pool].loads_reserved;
    uint64_t base = t->header->loads.offset_bytes + (uint64_t)pool * sizeof(struct loads);
    if (places <= word_get(reserved))
        return 0;
    places = (places + LOADS_STEP - 1) / LOADS_STEP * LOADS_STEP;
    if (allocate(t, base, (LOADS_UPPER + (places >> LOADS_SHIFT)) * sizeof(atom64)) == -1 ||
        allocate(t, base + LOADS_NODES * sizeof(atom64), places * sizeof(atom64)) == -1 ||
        allocate(t, base + offsetof(struct loads, entries), places * sizeof(atom32)) == -1)
        return -1;
    word_set(reserved, places);
    return 0;
}

int table_reserve_rates(struct table *t, uint32_t wanted)
{
    struct table_header *h = t->header;
    if (extend(t, &h->rates, 0, &h->rates_reserved, wanted, RATE_STEP) == -1)
        return -1;
    return table_reserve(t);
}

int table_reserve_rate_units(struct table *t, uint32_t unit, uint32_t units)
{
    const struct table_section *s = &t->header->rate_heap;
    return allocate(t, s->offset_bytes + unit * s->stride_bytes, units * s->stride_bytes);
}

void table_release_rate_units(struct table *t, uint32_t unit, uint32_t units)
{
    const struct table_section *s = &t->header->rate_heap;
    if (fallocate(t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  (off_t)(s->offset_bytes + unit * s->stride_bytes),
                  (off_t)(units * s->stride_bytes)) == -1) /* a kernel without holes */
        memset(t->rate_heap + (size_t)unit * RATE_UNIT_BYTES, 0, (size_t)units * RATE_UNIT_BYTES);
}

int table_reserve_grants(struct table *t)
{
    const struct table_section *s = &t->header->grants;
    if (word_get(&t->header->grants_reserved))
        return 0;
    if (allocate(t, s->offset_bytes, s->count * s->stride_bytes) == -1)
        return -1;
    word_set(&t->header->grants_reserved, 1);
    return 0;
}

int table_reserve_grant_cells(struct table *t, uint32_t row, uint32_t entries)
{
    return extend(t, &t->header->grant_cells, (uint64_t)row * ENTRY_MAX,
                  &t->grants[row].cells_reserved, entries, GRANT_STEP);
}

int table_reserve(struct table *t)
{
    const struct table_header *h = t->header;
    return table_reserve_for(t, word_get(&h->entries_high), word_get(&h->pools_high),
                             word_get(&h->listeners_high), INDEX_NONE);
}

int stick_reserve(struct table *t)
{
    const struct table_section *s = &t->header->sticks;
    if (word_get(&t->header->sticks_reserved))
        return 0;
    if (allocate(t, s->offset_bytes, s->count * s->stride_bytes) == -1)
        return -1;
    word_set(&t->header->sticks_reserved, 1);
    return 0;
}

/* Everything that a block has, and then the pins of all slots; the marks and cells are of one size.
 */
int table_reserve_cache(struct table *t, uint32_t blocks, uint32_t buckets)
{
    struct table_header *h = t->header;
    atom32 words = word_get(&h->cache_reserved), next = words, entries = words;
    if (words == 0 && (allocate(t, h->cache_marks.offset_bytes, sizeof(struct cache_marks)) == -1 ||
                       allocate(t, h->ccells.offset_bytes, SLOT_MAX * sizeof(struct ccell)) == -1))
        return -1;
    if (extend(t, &h->cache_words, 0, &words, blocks, CACHE_STEP) == -1 ||
        extend(t, &h->cache_next, 0, &next, blocks, CACHE_STEP) == -1 ||
        extend(t, &h->cache_entries, 0, &entries, blocks, CACHE_STEP) == -1 ||
        extend(t, &h->cache_index, 0, &h->cache_buckets_reserved, buckets, CACHE_STEP) == -1 ||
        extend(t, &h->cache_data, 0, &h->cache_reserved, blocks, CACHE_STEP) == -1)
        return -1;
    return table_reserve(t);
}
