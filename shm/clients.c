/* shm/clients.c: see shm/clients.h. A cell never used is 0; cells of a window are taken into use in
 * order, so a search ends at the first 0. A cell whose count is 0 may be given to another client by
 * its worker. */
#include "shm/clients.h"

#include <assert.h>
#include "shm/lanes.h"
#include "shm/table_int.h"

#define COUNT_BITS 24u
#define COUNT_MASK ((1u << COUNT_BITS) - 1)

static atom64 *cells_of(const struct table *t, uint32_t slot)
{
    return (atom64 *)(void *)(t->client_cells + (size_t)slot * CLIENTS_CELLS_MAX * sizeof(atom64));
}

static uint32_t cell_count(const struct table *t)
{
    return word_get(&t->header->client_cell_count);
}

static uint64_t tag_of(uint64_t key)
{
    uint64_t tag = key >> COUNT_BITS;
    return tag ? tag : 1;
}

static uint32_t window_of(const struct table *t, uint64_t key)
{
    return (uint32_t)((key & UINT32_MAX) * (cell_count(t) - CLIENTS_WINDOW) >> 32);
}

static bool has_table(const struct table *t, uint32_t slot)
{
    return word_get(&t->header->client_cells_reserved[slot]) != 0;
}

/* The client's cell in one worker's table, or CLIENTS_NONE. *spare: one that it may have. */
static uint32_t find(const struct table *t, uint32_t slot, uint64_t key, uint32_t *spare)
{
    const atom64 *cells = cells_of(t, slot);
    uint32_t first = window_of(t, key);
    *spare = CLIENTS_NONE;
    for (uint32_t i = first; i < first + CLIENTS_WINDOW; i++) {
        uint64_t word = atomic_load(&cells[i]);
        if (word >> COUNT_BITS == tag_of(key))
            return i;
        if ((word & COUNT_MASK) == 0 && *spare == CLIENTS_NONE)
            *spare = i;
        if (word == 0)
            break;
    }
    return CLIENTS_NONE;
}

uint32_t clients_count(const struct table *t, uint64_t key)
{
    uint32_t sum = 0, spare;
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++) {
        uint32_t cell = has_table(t, slot) ? find(t, slot, key, &spare) : CLIENTS_NONE;
        if (cell != CLIENTS_NONE)
            sum += (uint32_t)atomic_load(&cells_of(t, slot)[cell]) & COUNT_MASK;
    }
    return sum;
}

/* Single writer: a load and a store, but sequentially consistent: the take is seen by whoever we do
 * not see. */
static void add(struct table *t, uint32_t slot, uint32_t cell, uint64_t key)
{
    atom64 *at = &cells_of(t, slot)[cell];
    uint64_t word = atomic_load(at);
    bool mine = word >> COUNT_BITS == tag_of(key);
    atomic_store(at, tag_of(key) << COUNT_BITS | (mine ? (word & COUNT_MASK) + 1 : 1));
}

void clients_give(struct table *t, uint32_t slot, uint32_t cell)
{
    if (cell == CLIENTS_NONE)
        return;
    atom64 *at = &cells_of(t, slot)[cell];
    uint64_t word = atomic_load(at);
    assert((word & COUNT_MASK) > 0);
    atomic_store(at, word - 1);
}

bool clients_take(struct table *t, uint32_t slot, uint64_t key, uint32_t limit, uint32_t *cell)
{
    uint32_t spare;
    *cell = CLIENTS_NONE;
    if (!has_table(t, slot))
        return true;
    for (int attempt = 0; attempt < LANES_ATTEMPTS; attempt++) {
        *cell = find(t, slot, key, &spare);
        if (*cell == CLIENTS_NONE)
            *cell = spare;
        if (*cell == CLIENTS_NONE)
            return true; /* as many clients in this window as there are cells */
        add(t, slot, *cell, key);
        if (clients_count(t, key) <= limit)
            return true;
        clients_give(t, slot, *cell);
        *cell = CLIENTS_NONE;
        if (clients_count(t, key) >= limit)
            return false;
    }
    return false;
}

void clients_reclaim(struct table *t, uint32_t slot)
{
    if (!has_table(t, slot))
        return;
    for (uint32_t i = 0; i < cell_count(t); i++) {
        atom64 *at = &cells_of(t, slot)[i];
        uint64_t word = atomic_load_explicit(at, memory_order_relaxed);
        if (word & COUNT_MASK)
            atomic_store(at, word & ~(uint64_t)COUNT_MASK);
    }
}

int clients_prepare(struct table *t, uint32_t max_connections)
{
    uint32_t cells = 4096;
    while (cells < CLIENTS_CELLS_MAX && cells < 4ull * max_connections)
        cells *= 2;
    if (cell_count(t) == 0)
        word_set(&t->header->client_cell_count, cells);
    return table_reserve(t);
}
