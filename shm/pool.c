/*
 * shm/pool.c: see shm/pool.h. A removed row keeps its name and its totals, and comes back when the
 * name does. It is given to another name only when the table has no other left: requests of an
 * older configuration may still hold its index.
 */
#include "shm/pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "shm/entry.h"
#include "shm/hashtable.h"
#include "shm/loads.h"

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

void listener_remove(struct table *t, uint32_t index)
{
    word_set(&t->listeners[index].state, ROW_REMOVED);
}
