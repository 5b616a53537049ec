/*
 * shm/entry.c: see shm/entry.h. Lists are changed by single stores in an order that a reader can
 * walk and that shm/table_lock.c can repair after a death at any point.
 */
#include "shm/entry.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "shm/breaker.h"
#include "shm/hashtable.h"
#include "shm/lanes.h"
#include "shm/loads.h"
#include "shm/passive.h"
#include "shm/pool.h"
#include "shm/ramp.h"

#define NO_OVERRIDE    UINT32_MAX
#define SNAPSHOT_TRIES 64
#define REUSE_QUIET_US                                                                             \
    60000000u /* a freed row rests: health results and log lines of the old one are gone by then   \
               */

/* ---- rows
 * ---------------------------------------------------------------------------------------------------
 */

/* The row that is free for longest, at least quiet_us; INDEX_NONE: none. */
static uint32_t find_free(const struct table *t, uint64_t quiet_us)
{
    uint32_t found = INDEX_NONE, high = word_get(&t->header->entries_high);
    uint64_t oldest_us = UINT64_MAX, now_us = clock_mono_us();
    if (word_get(&t->header->entries_free) == 0)
        return INDEX_NONE;
    for (uint32_t i = 0; i < high; i++) {
        if (word_get(&t->entries[i].state) != ROW_FREE)
            continue;
        uint64_t freed_us = count_get(&t->entries[i].freed_us);
        if (freed_us < oldest_us && now_us - freed_us >= quiet_us) {
            oldest_us = freed_us;
            found = i;
        }
    }
    return found;
}

static uint32_t take_new_row(struct table *t)
{
    struct table_header *h = t->header;
    uint32_t high = word_get(&h->entries_high);
    if (high >= ENTRY_MAX) {
        errno = ENOSPC;
        return INDEX_NONE;
    }
    if (table_reserve_for(t, high + 1, word_get(&h->pools_high), word_get(&h->listeners_high),
                          INDEX_NONE) == -1)
        return INDEX_NONE;
    word_set(&h->entries_high, high + 1);
    word_set(&h->entries_free, word_get(&h->entries_free) + 1); /* free until it is live */
    return high;
}

/* The totals of the backend that had the row before. Nobody writes them: a cell is written only by
 * who holds a place. */
static void clear_cells(struct table *t, uint32_t index)
{
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++) {
        if (index >= word_get(&t->header->cells_reserved[slot]))
            continue;
        struct cell *c = table_cell(t, slot, index);
#define X(name, help) atomic_store_explicit(&c->name, 0, memory_order_relaxed);
        CELL_COUNTERS(X)
#undef X
        for (uint32_t i = 0; i < HISTO_BUCKETS; i++)
            atomic_store_explicit(&c->histo[i], 0, memory_order_relaxed);
    }
}

/* A rested row, else a new one (full or no memory: errno), else any free one. */
static uint32_t take_row(struct table *t)
{
    uint32_t index = find_free(t, REUSE_QUIET_US);
    if (index == INDEX_NONE)
        index = take_new_row(t);
    if (index == INDEX_NONE)
        index = find_free(t, 0);
    if (index != INDEX_NONE && word_get(&t->entries[index].incarnation) != 0)
        clear_cells(t, index);
    return index;
}

static void fill_observed(struct entry *e)
{
    word_set(&e->health, HEALTH_UNKNOWN);
    word_set(&e->health_streak, 0);
    word_set(&e->health_latency_us, 0);
    word_set(&e->health_code, 0);
    atomic_store(&e->health_since_us, clock_mono_us());
    atomic_store(&e->health_checked_us, 0);
    atomic_store(&e->checks_ok, 0);
    atomic_store(&e->checks_failed, 0);
    atomic_store(&e->breaker, BREAKER_CLOSED);
    atomic_store(&e->passive, 0);
    atomic_store(&e->latency, 0);
}

uint64_t entry_stick_id(const char *pool, const char *name, size_t name_len)
{
    static const struct hash_key fixed = {0x62616c6c61737421u, 0x737469636b79u};
    return hash_mix64(hash_bytes(fixed, pool, strlen(pool))) ^ hash_bytes(fixed, name, name_len);
}

static void fill(struct entry *e, uint32_t pool, const char *pool_name,
                 const struct entry_spec *spec)
{
    word_set(&e->incarnation, word_get(&e->incarnation) + 1);
    atomic_thread_fence(memory_order_release); /* who copies what follows sees it (shm/reader.h) */
    word_set(&e->pool, pool);
    word_set(&e->next, INDEX_NONE);
    word_set(&e->leaf, 0);
    word_set(&e->cut, 0);
    word_set(&e->origin, spec->origin);
    word_set(&e->backup, spec->backup);
    word_set(&e->weight, spec->weight);
    word_set(&e->weight_override, NO_OVERRIDE);
    word_set(&e->max_connections, spec->max_connections);
    word_set(&e->mode, MODE_ENABLED);
    word_set(&e->source, spec->source);
    word_set(&e->lease_ttl_ms, 0);
    atomic_store(&e->lease_until_us, 0);
    e->check = spec->check ? *spec->check : (struct entry_check){0};
    fill_observed(e);
    atomic_store(&e->stick_id, entry_stick_id(pool_name, spec->name, strlen(spec->name)));
    atomic_store(&e->created_wall_ms, clock_wall_ms());
    e->addr = spec->addr;
    snprintf(e->name, sizeof e->name, "%s", spec->name);
    snprintf(e->endpoint, sizeof e->endpoint, "%s", spec->endpoint);
}

/* ---- membership
 * --------------------------------------------------------------------------------------------- */

/* A list is about to change, and has changed: readers in between try again (entry_members). */
static void begin_change(struct pool_row *p)
{
    atomic_store_explicit(&p->seq, word_get(&p->seq) | 1u, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void end_change(struct table *t, uint32_t pool)
{
    struct pool_row *p = &t->pools[pool];
    word_set(&p->seq, word_get(&p->seq) + 1);
    word_set(&t->header->membership, word_get(&t->header->membership) + 1);
    pool_touch(t, pool);
    hashtable_mark(t, pool);
}

uint32_t entry_add(struct table *t, uint32_t pool, const struct entry_spec *spec)
{
    uint32_t index = take_row(t);
    if (index == INDEX_NONE)
        return INDEX_NONE;
    struct pool_row *p = &t->pools[pool];
    struct entry *e = &t->entries[index];
    fill(e, pool, p->name, spec);
    ramp_begin(t, index);
    if (loads_add(t, pool, index) == -1)
        return INDEX_NONE;
    begin_change(p);
    word_set(&t->header->entries_free, word_get(&t->header->entries_free) - 1);
    atomic_store(&e->state, ROW_LIVE);
    uint32_t tail = word_get(&p->tail);
    word_set(tail == INDEX_NONE ? &p->head : &t->entries[tail].next, index);
    word_set(&p->tail, index);
    word_set(&p->count, word_get(&p->count) + 1);
    end_change(t, pool);
    return index;
}

void entry_remove(struct table *t, uint32_t index)
{
    struct entry *e = &t->entries[index];
    uint32_t pool = word_get(&e->pool), previous = INDEX_NONE;
    struct pool_row *p = &t->pools[pool];
    assert(word_get(&e->state) == ROW_LIVE);
    for (uint32_t i = word_get(&p->head); i != index; i = word_get(&t->entries[i].next))
        previous = i;
    begin_change(p);
    atomic_store(&e->state, ROW_REMOVED); /* no reservation after this succeeds: see entry_sweep */
    word_set(previous == INDEX_NONE ? &p->head : &t->entries[previous].next, word_get(&e->next));
    if (word_get(&p->tail) == index)
        word_set(&p->tail, previous);
    word_set(&p->count, word_get(&p->count) - 1);
    loads_remove(t, index);
    end_change(t, pool);
}

/*
 * A removed row without a place taken is free. A reservation takes its place first and looks at the
 * state then, both sequentially consistent as are the store of ROW_REMOVED and this sum: one that
 * succeeded is in the sum, and one that comes later fails, giving its place back without having
 * touched anything.
 */
unsigned entry_sweep(struct table *t)
{
    unsigned freed = 0;
    table_lock(t);
    uint32_t high = word_get(&t->header->entries_high);
    for (uint32_t i = 0; i < high; i++) {
        struct entry *e = &t->entries[i];
        if (word_get(&e->state) != ROW_REMOVED || lanes_all(&e->leased, e->inflight, SLOT_MAX) != 0)
            continue;
        atomic_store(&e->freed_us, clock_mono_us());
        word_set(&t->header->entries_free, word_get(&t->header->entries_free) + 1);
        atomic_store(&e->state, ROW_FREE);
        freed++;
    }
    table_unlock(t);
    return freed;
}

void entry_configure(struct table *t, uint32_t index, const struct entry_spec *spec)
{
    struct entry *e = &t->entries[index];
    uint32_t before = entry_weight(e);
    word_set(&e->origin, spec->origin);
    word_set(&e->backup, spec->backup);
    word_set(&e->weight, spec->weight);
    word_set(&e->max_connections, spec->max_connections);
    pool_touch(t, word_get(&e->pool));
    if (entry_weight(e) != before)
        hashtable_mark(t, word_get(&e->pool));
}

/* Walks the list once. Whatever happens to it meanwhile: ends, and gives only live rows of this
 * pool. */
static uint32_t walk(const struct table *t, uint32_t pool, uint32_t *out, uint32_t cap)
{
    uint32_t count = 0, i = word_get(&t->pools[pool].head);
    for (uint32_t steps = 0; i < ENTRY_MAX && steps < ENTRY_MAX && count < cap; steps++) {
        const struct entry *e = &t->entries[i];
        if (word_get(&e->pool) != pool)
            break; /* the row was given to another pool */
        if (word_get(&e->state) == ROW_LIVE)
            out[count++] = i;
        i = word_get(&e->next);
    }
    return count;
}

uint32_t entry_members(const struct table *t, uint32_t pool, uint32_t *out, uint32_t cap)
{
    const struct pool_row *p = &t->pools[pool];
    uint32_t count = 0;
    if (word_get(&p->state) != ROW_LIVE)
        return 0;
    /* Not for ever: the writer may have been killed. The walk is then what it left, and the repair
     * touches the pool. */
    for (int attempt = 0; attempt < SNAPSHOT_TRIES; attempt++) {
        uint32_t seq = word_get(&p->seq);
        count = walk(t, pool, out, cap);
        atomic_thread_fence(memory_order_acquire);
        if ((seq & 1) == 0 && atomic_load_explicit(&p->seq, memory_order_relaxed) == seq)
            return count;
    }
    return count;
}

uint32_t entry_find(const struct table *t, uint32_t pool, const char *name)
{
    uint32_t i = word_get(&t->pools[pool].head);
    for (uint32_t steps = 0; i < ENTRY_MAX && steps < ENTRY_MAX; steps++) {
        const struct entry *e = &t->entries[i];
        if (word_get(&e->pool) != pool)
            break;
        if (word_get(&e->state) == ROW_LIVE && strcmp(e->name, name) == 0)
            return i;
        i = word_get(&e->next);
    }
    return INDEX_NONE;
}

/* ---- the three words
 * ---------------------------------------------------------------------------------------- */

void entry_set_mode(struct table *t, uint32_t index, enum entry_mode mode)
{
    if (mode == MODE_ENABLED && word_get(&t->entries[index].mode) != MODE_ENABLED)
        ramp_begin(t, index);
    word_set(&t->entries[index].mode, mode);
    if (mode == MODE_ENABLED) { /* whoever says so knows more than the failures of before */
        passive_clear(t, index);
        breaker_clear(t, index);
    }
    pool_touch(t, word_get(&t->entries[index].pool));
}

void entry_cut(struct table *t, uint32_t index)
{
    uint32_t number = word_get(&t->header->cuts) + 1;
    number += number == 0; /* which would mean: never */
    word_set(&t->entries[index].cut, number);
    word_set(&t->header->cuts, number); /* whoever sees it sees whom it means */
}

void entry_set_weight_override(struct table *t, uint32_t index, uint32_t weight)
{
    word_set(&t->entries[index].weight_override, weight);
    hashtable_mark(t, word_get(&t->entries[index].pool));
    pool_touch(t, word_get(&t->entries[index].pool));
}

uint32_t entry_weight(const struct entry *e)
{
    uint32_t override = word_get(&e->weight_override);
    return override == NO_OVERRIDE ? word_get(&e->weight) : override;
}

bool entry_set_health(struct table *t, uint32_t index, enum entry_health health)
{
    struct entry *e = &t->entries[index];
    if (word_get(&e->health) == health)
        return false;
    atomic_store(&e->health_since_us, clock_mono_us());
    if (health == HEALTH_HEALTHY)
        ramp_begin(t, index);
    word_set(&e->health, health);
    pool_touch(t, word_get(&e->pool));
    return true;
}

/* What the traffic itself said. */
static bool is_out(const struct entry *e)
{
    return breaker_state(e) == BREAKER_OPEN || passive_ejected(e);
}

bool entry_usable(const struct entry *e)
{
    return word_get(&e->state) == ROW_LIVE && word_get(&e->mode) == MODE_ENABLED &&
           word_get(&e->health) != HEALTH_UNHEALTHY && !is_out(e) && entry_weight(e) > 0;
}

enum entry_status entry_status(const struct entry *e)
{
    uint32_t mode = word_get(&e->mode), health = word_get(&e->health);
    uint32_t limit = word_get(&e->max_connections);
    if (mode == MODE_MAINTENANCE)
        return STATUS_MAINTENANCE;
    if (mode == MODE_DRAINING)
        return STATUS_DRAINING;
    if (health == HEALTH_UNHEALTHY || is_out(e))
        return STATUS_UNHEALTHY;
    if (limit != 0 && lanes_all(&e->leased, e->inflight, SLOT_MAX) >= limit)
        return STATUS_OVERLOADED;
    return health == HEALTH_HEALTHY ? STATUS_HEALTHY : STATUS_UNKNOWN;
}

/* ---- in-flight places
 * --------------------------------------------------------------------------------------- */

static bool is_still(const struct entry *e, uint32_t incarnation)
{
    return atomic_load(&e->state) == ROW_LIVE && word_get(&e->incarnation) == incarnation;
}

bool entry_reserve(struct table *t, uint32_t index, uint32_t incarnation, uint32_t slot)
{
    struct entry *e = &t->entries[index];
    uint32_t limit = word_get(&e->max_connections), lanes = word_get(&t->header->slots_high);
    assert(slot < lanes);
    for (int attempt = 0; attempt < LANES_ATTEMPTS; attempt++) {
        lanes_take(e->inflight, slot);
        bool still = is_still(e, incarnation);
        if (still && (limit == 0 || lanes_all(&e->leased, e->inflight, lanes) <= limit)) {
            loads_update(t, index, true);
            return true;
        }
        lanes_give(e->inflight, slot);
        loads_update(t, index, false);
        if (!still || lanes_all(&e->leased, e->inflight, lanes) >= limit)
            return false;
    }
    return false;
}

void entry_release(struct table *t, uint32_t index, uint32_t slot)
{
    lanes_give(t->entries[index].inflight, slot);
    loads_update(t, index, false);
}

bool entry_take_over(struct table *t, uint32_t index, uint32_t incarnation, uint32_t slot)
{
    if (index >= word_get(&t->header->entries_high) ||
        word_get(&t->entries[index].incarnation) != incarnation)
        return false;
    lanes_take(t->entries[index].inflight, slot);
    loads_update(t, index, false);
    return true;
}

uint32_t entry_inflight(const struct table *t, uint32_t index)
{
    const struct entry *e = &t->entries[index];
    return lanes_all(&e->leased, e->inflight, word_get(&t->header->slots_high));
}
