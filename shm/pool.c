/*
 * shm/pool.c: see shm/pool.h. A removed row keeps its name and its totals, and comes back when the
 * name does. It is given to another name only when the table has no other left: requests of an
 * older configuration may still hold its index.
 */
#include "shm/pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "shm/breaker.h"
#include "shm/entry.h"
#include "shm/hashtable.h"
#include "shm/loads.h"
#include "shm/lanes.h"
#include "shm/passive.h"

/* Retries that need no budget: those of a pool with little traffic. */
#define RETRIES_ALWAYS 3u
/* Should its worker be killed in the middle of a recheck, another one does it after this. */
#define RECHECK_LEASE_US 1000000u

/* ---- pools
 * --------------------------------------------------------------------------------------------------
 */

static uint32_t find_pool_row(const struct table *t, const char *name, enum row_state state)
{
    uint32_t high = word_get(&t->header->pools_high);
    for (uint32_t i = 0; i < high; i++)
        if (word_get(&t->pools[i].state) == state && (!name || strcmp(t->pools[i].name, name) == 0))
            return i;
    return INDEX_NONE;
}

uint32_t pool_find(const struct table *t, const char *name)
{
    return find_pool_row(t, name, ROW_LIVE);
}

static void clear_pcells(struct table *t, uint32_t index)
{
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++)
        if (index < word_get(&t->header->pcells_reserved[slot]))
            atomic_store_explicit(&table_pcell(t, slot, index)->no_backend, 0,
                                  memory_order_relaxed);
}

/* A row for the name: its own of old, a new one, or, when there is none left, that of a removed
 * pool. */
static uint32_t choose_pool_row(struct table *t, const char *name)
{
    struct table_header *h = t->header;
    uint32_t index = find_pool_row(t, name, ROW_REMOVED), high = word_get(&h->pools_high);
    if (index != INDEX_NONE)
        return index;
    if (high < POOL_MAX) {
        if (table_reserve_for(t, word_get(&h->entries_high), high + 1, word_get(&h->listeners_high),
                              INDEX_NONE) == -1)
            return INDEX_NONE;
        word_set(&h->pools_high, high + 1);
        return high;
    }
    index = find_pool_row(t, NULL, ROW_REMOVED);
    if (index == INDEX_NONE)
        errno = ENOSPC;
    else
        clear_pcells(t, index);
    return index;
}

uint32_t pool_add(struct table *t, const char *name)
{
    uint32_t index = choose_pool_row(t, name);
    if (index == INDEX_NONE)
        return INDEX_NONE;
    struct pool_row *p = &t->pools[index];
    snprintf(p->name, sizeof p->name, "%s", name);
    word_set(&p->head, INDEX_NONE);
    word_set(&p->tail, INDEX_NONE);
    word_set(&p->count, 0);
    word_set(&p->state, ROW_LIVE);
    pool_touch(t, index);
    word_set(&t->header->membership, word_get(&t->header->membership) + 1);
    return index;
}

void pool_remove(struct table *t, uint32_t index)
{
    struct pool_row *p = &t->pools[index];
    for (uint32_t i; (i = word_get(&p->head)) != INDEX_NONE;)
        entry_remove(t, i);
    hashtable_set_kind(t, index, HASHTABLE_NONE);
    loads_set_kind(t, index, LOADS_NONE);
    word_set(&p->state, ROW_REMOVED);
    pool_touch(t, index);
    word_set(&t->header->membership, word_get(&t->header->membership) + 1);
}

void pool_touch(struct table *t, uint32_t index)
{
    atomic_fetch_add_explicit(&t->pools[index].change, 1, memory_order_release);
}

bool pool_has_usable(const struct table *t, uint32_t index)
{
    const struct pool_row *p = &t->pools[index];
    uint32_t i = word_get(&p->head), steps = 0;
    /* A member that moves away under our feet ends the walk early at worst; the next caller sees
     * the new list. */
    while (i < ENTRY_MAX && steps++ < ENTRY_MAX && word_get(&t->entries[i].pool) == index) {
        if (entry_usable(&t->entries[i]))
            return true;
        i = word_get(&t->entries[i].next);
    }
    return false;
}

/* ---- places
 * --------------------------------------------------------------------------------------------------
 */

/* Takes a place in the lanes of a gauge with a limit (0: none). leased: what stands beside them. */
static bool reserve(struct table *t, const atom32 *leased, atom32 *gauge, uint32_t limit,
                    uint32_t slot)
{
    uint32_t lanes = word_get(&t->header->slots_high);
    if (limit == 0) {
        lanes_count(gauge, slot);
        return true;
    }
    for (int attempt = 0; attempt < LANES_ATTEMPTS; attempt++) {
        lanes_take(gauge, slot);
        if (lanes_all(leased, gauge, lanes) <= limit)
            return true;
        lanes_give(gauge, slot);
        if (lanes_all(leased, gauge, lanes) >= limit)
            return false;
    }
    return false;
}

bool pool_reserve(struct table *t, uint32_t index, uint32_t slot)
{
    struct pool_row *p = &t->pools[index];
    return reserve(t, &p->leased, p->inflight, word_get(&p->max_connections), slot);
}

void pool_release(struct table *t, uint32_t index, uint32_t slot)
{
    lanes_give(t->pools[index].inflight, slot);
}

void pool_take_over(struct table *t, uint32_t index, uint32_t slot)
{
    lanes_take(t->pools[index].inflight, slot);
}

uint32_t pool_inflight(const struct table *t, uint32_t index)
{
    const struct pool_row *p = &t->pools[index];
    return lanes_all(&p->leased, p->inflight, word_get(&t->header->slots_high));
}

bool pool_retry_reserve(struct table *t, uint32_t index, uint32_t slot, uint32_t percent)
{
    struct pool_row *p = &t->pools[index];
    uint32_t lanes = word_get(&t->header->slots_high);
    lanes_take(p->retrying, slot);
    uint64_t most = (uint64_t)lanes_sum(p->inflight, lanes) * percent / 100;
    if (lanes_sum(p->retrying, lanes) <= (most < RETRIES_ALWAYS ? RETRIES_ALWAYS : most))
        return true;
    lanes_give(p->retrying, slot);
    return false;
}

void pool_retry_release(struct table *t, uint32_t index, uint32_t slot)
{
    lanes_give(t->pools[index].retrying, slot);
}

/* ---- time
 * --------------------------------------------------------------------------------------------------
 */

void pool_recheck_at(struct table *t, uint32_t index, uint64_t at_us)
{
    atom64 *due = &t->pools[index].recheck_us;
    uint64_t now = count_get(due);
    while (now == 0 || at_us < now)
        if (atomic_compare_exchange_weak(due, &now, at_us))
            return;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

void pool_recheck_now(struct table *t, uint32_t index, uint32_t slot, uint32_t breaker_timeout_ms,
                      uint64_t now_us)
{
    struct pool_row *p = &t->pools[index];
    uint64_t due_us = count_get(&p->recheck_us), next_us = 0;
    bool changed = false;
    uint64_t lease_us = now_us + RECHECK_LEASE_US;
    if (due_us == 0 || due_us > now_us ||
        !atomic_compare_exchange_strong(&p->recheck_us, &due_us, lease_us))
        return; /* another worker does it */
    uint32_t i = word_get(&p->head), steps = 0;
    while (i < ENTRY_MAX && steps++ < ENTRY_MAX && word_get(&t->entries[i].pool) == index) {
        next_us = earlier(next_us, passive_tick(t, i, slot, now_us, &changed));
        if (breaker_timeout_ms == 0)
            breaker_clear(t, i);
        else
            next_us =
                earlier(next_us, breaker_tick(t, i, slot, breaker_timeout_ms, now_us, &changed));
        i = word_get(&t->entries[i].next);
    }
    if (!atomic_compare_exchange_strong(&p->recheck_us, &lease_us, next_us) && next_us)
        pool_recheck_at(t, index, next_us);
}

void pool_set_max_load(struct table *t, uint32_t index, uint32_t milli)
{
    word_set(&t->pools[index].max_load_milli, milli);
}

void pool_set_balance(struct table *t, uint32_t index, uint32_t balance)
{
    if (word_get(&t->pools[index].balance) == balance)
        return;
    word_set(&t->pools[index].balance, balance);
    pool_touch(t, index);
}

void pool_set_policy(struct table *t, uint32_t index, enum pool_key key, bool all_down_try)
{
    word_set(&t->pools[index].key_kind, key);
    word_set(&t->pools[index].all_down_try, all_down_try);
}

/* ---- listeners
 * ---------------------------------------------------------------------------------------------- */

static uint32_t find_listener_row(const struct table *t, const char *name, enum row_state state)
{
    uint32_t high = word_get(&t->header->listeners_high);
    for (uint32_t i = 0; i < high; i++)
        if (word_get(&t->listeners[i].state) == state &&
            (!name || strcmp(t->listeners[i].name, name) == 0))
            return i;
    return INDEX_NONE;
}

uint32_t listener_find(const struct table *t, const char *name)
{
    return find_listener_row(t, name, ROW_LIVE);
}

/* The totals of the listener that had the row before; its gauge is still lowered by connections
 * that drain. */
static void clear_lcells(struct table *t, uint32_t index)
{
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++) {
        if (index >= word_get(&t->header->lcells_reserved[slot]))
            continue;
        struct lcell *c = table_lcell(t, slot, index);
#define X(name, help) atomic_store_explicit(&c->name, 0, memory_order_relaxed);
        LCELL_COUNTERS(X)
#undef X
        for (uint32_t i = 0; i < HISTO_BUCKETS; i++)
            atomic_store_explicit(&c->histo[i], 0, memory_order_relaxed);
    }
}

uint32_t listener_add(struct table *t, const char *name)
{
    struct table_header *h = t->header;
    uint32_t index = find_listener_row(t, name, ROW_REMOVED), high = word_get(&h->listeners_high);
    if (index == INDEX_NONE && high < LISTENER_MAX) {
        if (table_reserve_for(t, word_get(&h->entries_high), word_get(&h->pools_high), high + 1,
                              INDEX_NONE) == -1)
            return INDEX_NONE;
        word_set(&h->listeners_high, high + 1);
        index = high;
    } else if (index == INDEX_NONE) {
        index = find_listener_row(t, NULL, ROW_REMOVED);
        if (index == INDEX_NONE) {
            errno = ENOSPC;
            return INDEX_NONE;
        }
        clear_lcells(t, index);
    }
    snprintf(t->listeners[index].name, sizeof t->listeners[index].name, "%s", name);
    word_set(&t->listeners[index].state, ROW_LIVE);
    return index;
}

bool listener_client_reserve(struct table *t, uint32_t index, uint32_t slot)
{
    struct listener_row *l = &t->listeners[index];
    static const atom32 nothing;
    return reserve(t, &nothing, l->clients, word_get(&l->max_connections), slot);
}

void listener_client_release(struct table *t, uint32_t index, uint32_t slot)
{
    lanes_give(t->listeners[index].clients, slot);
}

void listener_client_take_over(struct table *t, uint32_t index, uint32_t slot)
{
    lanes_take(t->listeners[index].clients, slot);
}

void listener_client_move(struct table *t, uint32_t from, uint32_t to, uint32_t slot)
{
    lanes_count(t->listeners[to].clients, slot);
    lanes_give(t->listeners[from].clients, slot);
}

void listener_remove(struct table *t, uint32_t index)
{
    word_set(&t->listeners[index].state, ROW_REMOVED);
}
