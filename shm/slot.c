/*
 * shm/slot.c: see shm/slot.h.
 */
#include "shm/slot.h"

#include <assert.h>
#include "base/clock.h"
#include "shm/cache.h"
#include "shm/clients.h"
#include "shm/lanes.h"
#include "shm/loads.h"
#include "shm/pool.h"

const char *slot_role_name(enum slot_role role)
{
    static const char *const names[] = {
        [SLOT_EMPTY] = "empty", [SLOT_WORKER] = "worker", [SLOT_HEALTH] = "health",
        [SLOT_ADMIN] = "admin", [SLOT_SAMPLE] = "sample", [SLOT_BROKER] = "broker"};
    return (size_t)role < ARRAY_LEN(names) ? names[role] : "unknown";
}

const char *slot_state_name(enum slot_state state)
{
    static const char *const names[] = {[SLOT_FREE] = "free",
                                        [SLOT_STARTING] = "starting",
                                        [SLOT_READY] = "ready",
                                        [SLOT_DRAINING] = "draining",
                                        [SLOT_DEAD] = "dead"};
    return (size_t)state < ARRAY_LEN(names) ? names[state] : "unknown";
}

static int reserve_cells(struct table *t, uint32_t slot)
{
    const struct table_header *h = t->header;
    table_lock(t);
    int rc = table_reserve_for(t, word_get(&h->entries_high), word_get(&h->pools_high),
                               word_get(&h->listeners_high), slot);
    if (rc == 0 && slot < SLOT_SERVICE_FIRST && slot >= word_get(&h->slots_high))
        word_set(&t->header->slots_high, slot + 1);
    table_unlock(t);
    return rc;
}

int slot_claim(struct table *t, uint32_t slot, enum slot_role role, uint32_t index)
{
    assert(slot < SLOT_MAX && role != SLOT_EMPTY);
    if (reserve_cells(t, slot) == -1)
        return -1;
    struct slot *s = &t->slots[slot];
    word_set(&s->pid, 0);
    word_set(&s->role, role);
    word_set(&s->index, index);
    word_set(&s->generation, 0);
    atomic_store(&s->started_mono_us, clock_mono_us());
    atomic_store(&s->heartbeat_us, 0);
    atomic_store(&s->breadcrumb, 0);
    word_set(&s->state, SLOT_STARTING);
    return 0;
}

void slot_set_pid(struct table *t, uint32_t slot, uint32_t pid)
{
    word_set(&t->slots[slot].pid, pid);
}

void slot_set_state(struct table *t, uint32_t slot, enum slot_state state)
{
    word_set(&t->slots[slot].state, state);
}

static void reclaim_rows(struct table *t, uint32_t slot)
{
    uint32_t high = word_get(&t->header->listeners_high);
    for (uint32_t i = 0; i < high; i++)
        atomic_store(&t->listeners[i].clients[slot], 0);
    high = word_get(&t->header->pools_high);
    for (uint32_t i = 0; i < high; i++) {
        atomic_store(&t->pools[i].retrying[slot], 0);
        if (atomic_exchange(&t->pools[i].inflight[slot], 0) != 0)
            pool_touch(t, i);
    }
}

static void reclaim_inflight(struct table *t, uint32_t slot)
{
    uint32_t high = word_get(&t->header->entries_high);
    for (uint32_t i = 0; i < high; i++) {
        struct entry *e = &t->entries[i];
        if (atomic_exchange(&e->inflight[slot], 0) != 0)
            pool_touch(t, word_get(&e->pool));
    }
}

void slot_reclaim(struct table *t, uint32_t slot)
{
    const struct table_header *h = t->header;
    atomic_store(&t->header->clients[slot], 0);
    clients_reclaim(t, slot);
    cache_reclaim(t, slot);
    reclaim_inflight(t, slot);
    reclaim_rows(t, slot);
    uint32_t listeners = word_get(&h->lcells_reserved[slot]);
    for (uint32_t i = 0; i < listeners; i++)
        if (count_get(&table_lcell(t, slot, i)->active) != 0)
            atomic_store(&table_lcell(t, slot, i)->active, 0);
    uint32_t pools = word_get(&h->pcells_reserved[slot]);
    for (uint32_t i = 0; i < pools; i++)
        if (count_get(&table_pcell(t, slot, i)->queue) != 0) {
            atomic_store(&table_pcell(t, slot, i)->queue, 0);
            atomic_store(&table_pcell(t, slot, i)->queue_first_us, 0);
            pool_touch(t, i);
        }
    loads_suspect(t);
}

void slot_heartbeat(struct table *t, uint32_t slot, uint64_t now_us)
{
    atomic_store_explicit(&t->slots[slot].heartbeat_us, now_us, memory_order_relaxed);
}

uint64_t slot_heartbeat_age_us(const struct table *t, uint32_t slot, uint64_t now_us)
{
    uint64_t beat_us = count_get(&t->slots[slot].heartbeat_us);
    if (beat_us == 0)
        return UINT64_MAX;
    return now_us > beat_us ? now_us - beat_us : 0;
}

bool slot_client_reserve(struct table *t, uint32_t slot)
{
    struct table_header *h = t->header;
    uint32_t limit = word_get(&h->max_connections), lanes = word_get(&h->slots_high);
    assert(slot < lanes);
    for (int attempt = 0; attempt < LANES_ATTEMPTS; attempt++) {
        lanes_take(h->clients, slot);
        if (lanes_fit(h->clients, lanes, limit))
            return true;
        lanes_give(h->clients, slot);
        if (lanes_sum(h->clients, lanes) >= limit)
            return false;
    }
    return false;
}

void slot_client_release(struct table *t, uint32_t slot)
{
    lanes_give(t->header->clients, slot);
}

void slot_client_take_over(struct table *t, uint32_t slot)
{
    lanes_take(t->header->clients, slot);
}

uint32_t slot_clients(const struct table *t)
{
    return lanes_sum(t->header->clients, SLOT_MAX);
}
