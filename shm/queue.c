/* shm/queue.c: see shm/queue.h. */
#include "shm/queue.h"

#include "shm/count.h"

static uint64_t sum(const struct table *t, uint32_t pool)
{
    uint32_t slots = word_get(&t->header->slots_high);
    uint64_t waiting = 0;
    for (uint32_t i = 0; i < slots; i++)
        waiting += atomic_load(&table_pcell(t, i, pool)->queue);
    return waiting;
}

bool queue_reserve(struct table *t, uint32_t pool, uint32_t slot, uint32_t size)
{
    atom64 *own = &table_pcell(t, slot, pool)->queue;
    atomic_fetch_add(own, 1);
    if (sum(t, pool) <= size)
        return true;
    atomic_fetch_sub(own, 1);
    return false;
}

void queue_release(struct table *t, uint32_t pool, uint32_t slot)
{
    count_sub(&table_pcell(t, slot, pool)->queue, 1);
}

uint32_t queue_length(const struct table *t, uint32_t pool)
{
    return (uint32_t)sum(t, pool);
}

void queue_set_first(struct table *t, uint32_t pool, uint32_t slot, uint64_t since_us)
{
    atomic_store(&table_pcell(t, slot, pool)->queue_first_us, since_us);
}

bool queue_is_first(const struct table *t, uint32_t pool, uint32_t slot, uint64_t since_us,
                    uint64_t horizon_us)
{
    uint32_t slots = word_get(&t->header->slots_high);
    for (uint32_t i = 0; i < slots; i++) {
        uint64_t theirs_us = atomic_load(&table_pcell(t, i, pool)->queue_first_us);
        if (i == slot || theirs_us == 0 || theirs_us < horizon_us)
            continue;
        if (theirs_us < since_us || (theirs_us == since_us && i < slot))
            return false;
    }
    return true;
}
