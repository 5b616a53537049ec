/* shm/reader.c: see shm/reader.h. Finding tables: shm/table_watch.c. */
#include "shm/reader.h"

#include <string.h>
#include "shm/breaker.h"
#include "shm/passive.h"
#include "shm/slot.h"

bool entry_usable_at(const struct entry *e, uint64_t now_us)
{
    return word_get(&e->state) == ROW_LIVE && word_get(&e->mode) == MODE_ENABLED &&
           word_get(&e->health) != HEALTH_UNHEALTHY && entry_weight(e) > 0 &&
           breaker_open_until_us(e, now_us) == 0 && passive_until_us(e) <= now_us;
}

uint64_t entry_change_us(const struct entry *e, uint64_t now_us)
{
    uint64_t breaker_us = breaker_open_until_us(e, now_us), passive_us = passive_until_us(e);
    if (passive_us <= now_us)
        return breaker_us;
    return breaker_us == 0 || passive_us < breaker_us ? passive_us : breaker_us;
}

static bool is_live(const struct entry *e, uint32_t pool, uint32_t incarnation)
{
    return word_get(&e->state) == ROW_LIVE && word_get(&e->pool) == pool &&
           word_get(&e->incarnation) == incarnation;
}

/* A row is filled while it is not live and after its incarnation grew. So what was copied between
 * two looks at a live row of one incarnation is of that backend. */
bool entry_copy(const struct table *t, uint32_t index, uint32_t pool, struct entry_copy *out)
{
    if (index >= ENTRY_MAX || index >= word_get(&t->header->entries_high))
        return false;
    const struct entry *e = entry_at(t, index);
    out->incarnation = word_get(&e->incarnation);
    if (!is_live(e, pool, out->incarnation))
        return false;
    out->addr = e->addr;
    memcpy(out->name, e->name, sizeof out->name);
    memcpy(out->endpoint, e->endpoint, sizeof out->endpoint);
    atomic_thread_fence(memory_order_acquire);
    out->name[sizeof out->name - 1] = out->endpoint[sizeof out->endpoint - 1] = '\0';
    return is_live(e, pool, out->incarnation) && out->addr.len_bytes <= sizeof out->addr.u;
}

uint64_t table_age_us(const struct table *t, uint64_t now_us)
{
    uint64_t youngest_us = UINT64_MAX;
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++) {
        uint64_t age_us = slot_heartbeat_age_us(t, slot, now_us);
        if (age_us < youngest_us)
            youngest_us = age_us;
    }
    return youngest_us;
}
