/*
 * shm/rate_rows.c: see shm/rate.h. The rows of the limits and the heap of their tables. The heap
 * has no books of its own: free is what no row names, so a master that is killed loses nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "shm/rate.h"
#include "shm/table_int.h"

#define QUIET_US 10000000u /* limiting that begins again after so long is an event again */

struct extent {
    uint32_t unit, units;
};

static int compare_extents(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

/* The first gap of the heap that is large enough; INDEX_NONE: there is none. */
static uint32_t find_gap(const struct table *t, uint64_t units)
{
    struct extent used[RATE_MAX] = {{0}};
    uint32_t n = 0, high = word_get(&t->header->rates_high);
    uint64_t at = 0;
    for (uint32_t i = 0; i < high; i++)
        if (word_get(&t->rates[i].units))
            used[n++] = (struct extent){word_get(&t->rates[i].unit), word_get(&t->rates[i].units)};
    qsort(used, n, sizeof *used, compare_extents);
    for (uint32_t i = 0; i < n && used[i].unit - at < units; i++)
        at = (uint64_t)used[i].unit + used[i].units;
    return at + units <= RATE_UNITS ? (uint32_t)at : INDEX_NONE;
}

static uint32_t find_row(const struct table *t, const char *name, uint64_t fingerprint)
{
    uint32_t high = word_get(&t->header->rates_high);
    for (uint32_t i = 0; i < high; i++)
        if (word_get(&t->rates[i].state) == ROW_LIVE &&
            count_get(&t->rates[i].fingerprint) == fingerprint &&
            strcmp(t->rates[i].name, name) == 0)
            return i;
    return INDEX_NONE;
}

static uint32_t free_row(struct table *t)
{
    struct table_header *h = t->header;
    uint32_t high = word_get(&h->rates_high);
    for (uint32_t i = 0; i < high; i++)
        if (word_get(&t->rates[i].state) == ROW_FREE)
            return i;
    errno = ENOSPC;
    if (high == RATE_MAX || table_reserve_rates(t, high + 1) == -1)
        return INDEX_NONE;
    word_set(&h->rates_high, high + 1);
    return high;
}

static void clear_cells(struct table *t, uint32_t row)
{
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++) {
        if (row >= word_get(&t->header->rcells_reserved[slot]))
            continue;
        struct rcell *c = rate_cell(t, slot, row);
#define X(name, help) atomic_store_explicit(&c->name, 0, memory_order_relaxed);
        RCELL_COUNTERS(X)
#undef X
    }
}

uint32_t rate_acquire(struct table *t, const char *name, uint64_t fingerprint,
                      const struct rate_plan *plan)
{
    uint64_t units = (rate_bytes(plan) + RATE_UNIT_BYTES - 1) / RATE_UNIT_BYTES;
    uint32_t row = find_row(t, name, fingerprint);
    if (row != INDEX_NONE)
        return row;
    uint32_t unit = find_gap(t, units);
    errno = ENOSPC;
    if (unit == INDEX_NONE || (row = free_row(t)) == INDEX_NONE ||
        table_reserve_rate_units(t, unit, (uint32_t)units) == -1)
        return INDEX_NONE;
    struct rate_row *r = &t->rates[row];
    clear_cells(t, row);
    snprintf(r->name, sizeof r->name, "%s", name);
    atomic_store(&r->fingerprint, fingerprint);
    atomic_store(&r->limited_us, 0);
    word_set(&r->unit, unit);
    word_set(&r->units, (uint32_t)units);
    word_set(&r->state, ROW_LIVE);
    return row;
}

/* The row is free only when its memory was given back: killed in between, the next sweep does it
 * again. */
void rate_sweep(struct table *t, const bool wanted[RATE_MAX])
{
    uint32_t high = word_get(&t->header->rates_high);
    for (uint32_t i = 0; i < high; i++) {
        struct rate_row *r = &t->rates[i];
        if (wanted[i] || word_get(&r->state) != ROW_LIVE)
            continue;
        table_release_rate_units(t, word_get(&r->unit), word_get(&r->units));
        word_set(&r->units, 0);
        word_set(&r->state, ROW_FREE);
    }
}

struct rate_table rate_open(const struct table *t, uint32_t row, const struct rate_plan *plan)
{
    size_t offset = (size_t)word_get(&t->rates[row].unit) * RATE_UNIT_BYTES;
    return (struct rate_table){.plan = plan, .base = t->rate_heap + offset};
}

bool rate_onset(struct table *t, uint32_t row, uint64_t now_us)
{
    atom64 *at = &t->rates[row].limited_us;
    uint64_t last = count_get(at);
    if (last != 0 && now_us < last + QUIET_US / 10)
        return false; /* so the line is written only ten times in QUIET_US */
    return atomic_compare_exchange_strong(at, &last, now_us) &&
           (last == 0 || now_us >= last + QUIET_US);
}

uint64_t rate_cell_sum(const struct table *t, uint32_t row, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++)
        if (row < word_get(&t->header->rcells_reserved[slot]))
            sum += count_get(
                (const atom64 *)(const void *)((const char *)rate_cell(t, slot, row) + offset));
    return sum;
}
