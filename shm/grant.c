/* shm/grant.c: see shm/grant.h. */
#include "shm/grant.h"

#include "shm/entry.h"
#include "shm/lanes.h"
#include "shm/loads.h"
#include "shm/pool.h"
#include "shm/queue.h"
#include "shm/table_int.h"

static atom32 *cell_at(const struct table *t, uint32_t row, uint32_t entry)
{
    return &t->grant_cells[(size_t)row * ENTRY_MAX + entry];
}

int grant_prepare(struct table *t)
{
    table_lock(t);
    int rc = table_reserve_grants(t);
    table_unlock(t);
    return rc;
}

/* ---- the sums ---- */

/* Takes up to `want` places of a gauge, as one who reserves before he acts; returns how many. */
static uint32_t take(atom32 *leased, const atom32 *lanes, uint32_t count, uint32_t limit,
                     uint32_t want)
{
    for (int attempt = 0; attempt < LANES_ATTEMPTS; attempt++) {
        atomic_fetch_add(leased, want);
        uint32_t sum = lanes_all(leased, lanes, count);
        if (limit == 0 || sum <= limit)
            return want;
        uint32_t over = sum - limit, keep = want > over ? want - over : 0;
        atomic_fetch_sub(leased, want - keep);
        if (keep)
            return keep;
        if (lanes_all(leased, lanes, count) >= limit)
            return 0;
        want = 1; /* somebody raced for the last one, and both gave way */
    }
    return 0;
}

/* Many at once only where there is room for all: what a client does not use others lack. */
static uint32_t modest(uint32_t limit, uint32_t inflight, uint32_t want)
{
    return limit == 0 || (uint64_t)inflight + want <= limit / 2 ? want : 1;
}

static enum grant_result take_both(struct table *t, struct pool_row *p, struct entry *e,
                                   uint32_t want, uint32_t *got)
{
    uint32_t lanes = word_get(&t->header->slots_high);
    uint32_t of_pool = take(&p->leased, p->inflight, lanes, word_get(&p->max_connections), want);
    if (of_pool == 0)
        return GRANT_POOL_FULL;
    *got = take(&e->leased, e->inflight, lanes, word_get(&e->max_connections), of_pool);
    atomic_fetch_sub(&p->leased, of_pool - *got);
    return *got ? GRANT_OK : GRANT_FULL;
}

static void give_both(struct table *t, uint32_t pool, uint32_t entry, uint32_t count)
{
    atomic_fetch_sub(&t->pools[pool].leased, count);
    atomic_fetch_sub(&t->entries[entry].leased, count);
    loads_update(t, entry, false);
}

/* ---- places ---- */

/* The cell says what was meant before the sums did; both are right again. */
static void settle_cell(struct table *t, uint32_t row, uint32_t entry, uint32_t held)
{
    atom32 *cell = cell_at(t, row, entry), *sum = &t->grants[row].held;
    uint32_t before = word_get(cell);
    word_set(cell, held);
    word_set(sum, word_get(sum) - before + held);
}

static bool has_cell(struct table *t, uint32_t row, uint32_t entry)
{
    if (LIKELY(entry < word_get(&t->grants[row].cells_reserved)))
        return true;
    table_lock(t);
    int rc = table_reserve_grant_cells(t, row, word_get(&t->header->entries_high));
    table_unlock(t);
    return rc == 0 && entry < word_get(&t->grants[row].cells_reserved);
}

static bool is_still(const struct entry *e, uint32_t incarnation)
{
    return atomic_load(&e->state) == ROW_LIVE && word_get(&e->incarnation) == incarnation;
}

enum grant_result grant_take(struct table *t, uint32_t row, uint32_t entry, uint32_t incarnation,
                             uint32_t want, uint32_t *got)
{
    *got = 0;
    if (entry >= word_get(&t->header->entries_high) || want == 0 || !has_cell(t, row, entry))
        return GRANT_GONE;
    struct entry *e = &t->entries[entry];
    uint32_t pool = word_get(&e->pool);
    if (!is_still(e, incarnation) || pool >= POOL_MAX)
        return GRANT_GONE;
    if (queue_length(t, pool) > 0)
        return GRANT_POOL_FULL;
    want = modest(word_get(&e->max_connections), entry_inflight(t, entry), want);
    want = modest(word_get(&t->pools[pool].max_connections), pool_inflight(t, pool), want);
    uint32_t before = word_get(cell_at(t, row, entry));
    settle_cell(t, row, entry, before + want);
    enum grant_result result = take_both(t, &t->pools[pool], e, want, got);
    settle_cell(t, row, entry, before + *got);
    if (*got && !is_still(e, incarnation)) { /* it was removed meanwhile: as entry_reserve */
        give_both(t, pool, entry, *got);     /* perhaps the row is another pool's by now */
        settle_cell(t, row, entry, before);
        *got = 0;
        return GRANT_GONE;
    }
    if (*got)
        loads_update(t, entry, true);
    return result;
}

void grant_give(struct table *t, uint32_t row, uint32_t entry, uint32_t count)
{
    uint32_t held = grant_held(t, row, entry);
    count = count < held ? count : held;
    if (count == 0)
        return;
    give_both(t, word_get(&t->entries[entry].pool), entry, count);
    settle_cell(t, row, entry, held - count);
}

uint32_t grant_held(const struct table *t, uint32_t row, uint32_t entry)
{
    return row < GRANT_MAX && entry < word_get(&t->grants[row].cells_reserved)
               ? word_get(cell_at(t, row, entry))
               : 0;
}

bool grant_sum(const struct table *t, uint32_t *leases, uint64_t *held)
{
    *leases = 0;
    *held = 0;
    if (!word_get(&t->header->grants_reserved))
        return false;
    for (uint32_t row = 0; row < GRANT_MAX; row++) {
        *leases += word_get(&t->grants[row].state) == ROW_LIVE;
        *held += word_get(&t->grants[row].held);
    }
    return true;
}

/* ---- rows ---- */

void grant_open(struct table *t, uint32_t row, uint32_t pid, uint64_t start_ticks, uint64_t id)
{
    struct grant_row *g = &t->grants[row];
    word_set(&g->pid, pid);
    atomic_store(&g->start_ticks, start_ticks);
    atomic_store(&g->id, id);
    count_add(&t->grant_totals->opened, 1);
    word_set(&g->state, ROW_LIVE);
}

void grant_close(struct table *t, uint32_t row)
{
    uint32_t cells = word_get(&t->grants[row].cells_reserved);
    for (uint32_t i = 0; i < cells; i++)
        if (word_get(cell_at(t, row, i)))
            grant_give(t, row, i, UINT32_MAX);
    word_set(&t->grants[row].state, ROW_FREE);
}

uint64_t grant_start_ticks(uint32_t pid)
{
    return pid ? table_start_ticks(pid) : 0;
}

bool grant_lives(const struct table *t, uint32_t row)
{
    const struct grant_row *g = &t->grants[row];
    uint64_t ticks = grant_start_ticks(word_get(&g->pid));
    return ticks != 0 && ticks == count_get(&g->start_ticks);
}

/* The sums do not have it yet. */
static void forget(struct table *t, uint32_t row)
{
    struct grant_row *g = &t->grants[row];
    uint32_t cells = word_get(&g->cells_reserved), held = 0;
    for (uint32_t i = 0; i < cells; i++) {
        held += word_get(cell_at(t, row, i));
        word_set(cell_at(t, row, i), 0);
    }
    count_add(&t->grant_totals->reclaimed, held);
    count_add(&t->grant_totals->died, held != 0);
    word_set(&g->held, 0);
    word_set(&g->state, ROW_FREE);
}

static void count_again(struct table *t, uint32_t row)
{
    uint32_t cells = word_get(&t->grants[row].cells_reserved), held = 0;
    for (uint32_t i = 0; i < cells; i++)
        held += word_get(cell_at(t, row, i));
    word_set(&t->grants[row].held, held);
}

/* A sum is not lowered below what it will be: workers go by it meanwhile. */
void grant_recover(struct table *t)
{
    for (uint32_t row = 0; row < GRANT_MAX; row++)
        if (word_get(&t->grants[row].state) != ROW_LIVE || grant_lives(t, row))
            count_again(t, row);
        else
            forget(t, row);
    uint32_t high = word_get(&t->header->entries_high), pools[POOL_MAX] = {0};
    for (uint32_t i = 0; i < high; i++) {
        uint32_t sum = 0, pool = word_get(&t->entries[i].pool);
        for (uint32_t row = 0; row < GRANT_MAX; row++)
            sum += grant_held(t, row, i);
        if (pool < POOL_MAX)
            pools[pool] += sum;
        if (atomic_exchange(&t->entries[i].leased, sum) != sum)
            loads_update(t, i, false);
    }
    high = word_get(&t->header->pools_high);
    for (uint32_t i = 0; i < high; i++)
        atomic_store(&t->pools[i].leased, pools[i]);
}
