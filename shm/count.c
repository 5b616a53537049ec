/*
 * shm/count.c: see shm/count.h. A cell is read only where its slot has memory for it.
 */
#include "shm/count.h"

static uint64_t word_at(const void *cell, size_t offset)
{
    return count_get((const atom64 *)(const void *)((const char *)cell + offset));
}

uint64_t count_cell_sum(const struct table *t, uint32_t entry, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++)
        if (entry < word_get(&t->header->cells_reserved[slot]))
            sum += word_at(table_cell(t, slot, entry), offset);
    return sum;
}

uint64_t count_lcell_sum(const struct table *t, uint32_t listener, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++)
        if (listener < word_get(&t->header->lcells_reserved[slot]))
            sum += word_at(table_lcell(t, slot, listener), offset);
    return sum;
}

uint64_t count_pcell_sum(const struct table *t, uint32_t pool, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++)
        if (pool < word_get(&t->header->pcells_reserved[slot]))
            sum += word_at(table_pcell(t, slot, pool), offset);
    return sum;
}
