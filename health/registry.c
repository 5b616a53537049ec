#include "health/registry.h"

#include <stdio.h>
#include "base/base.h"
#include "shm/events.h"
#include "shm/lease.h"
#include "shm/pool.h"
#include "shm/slot.h"

#define LATE_US   1500000u /* a look that comes so late: this process stood still */
#define SILENT_US 1250000u /* a heart beats twice a second */

/* Could a heartbeat arrive since the last look? */
static bool could_hear(const struct table *t, uint64_t elapsed_us, uint64_t now_us)
{
    const struct slot *admin = &t->slots[SLOT_ADMIN_INDEX];
    return elapsed_us < LATE_US && word_get(&admin->state) == SLOT_READY &&
           slot_heartbeat_age_us(t, SLOT_ADMIN_INDEX, now_us) < SILENT_US;
}

/* Looks again under the lock: it may have been heard of, or be somebody else. */
static bool end(struct table *t, uint32_t index, uint64_t now_us, char *object, size_t cap)
{
    table_lock(t);
    const struct entry *e = entry_at(t, index);
    bool over = lease_is_over(e, now_us);
    if (over) {
        snprintf(object, cap, "%s:%s", pool_at(t, word_get(&e->pool))->name, e->name);
        entry_remove(t, index);
    }
    table_unlock(t);
    return over;
}

uint32_t registry_look(struct registry *r, struct table *t, uint32_t slot, uint64_t now_us)
{
    uint64_t elapsed_us = r->looked_us == 0 ? 0 : now_us - r->looked_us;
    uint32_t high = word_get(&t->header->entries_high), ended = 0;
    bool heard = could_hear(t, elapsed_us, now_us);
    char object[2 * NAME_MAX_BYTES], reason[64];
    r->looked_us = now_us;
    for (uint32_t i = 0; i < high; i++) {
        struct entry *e = entry_at(t, i);
        if (!lease_is_registered(e))
            continue;
        if (!heard)
            lease_extend(e, elapsed_us);
        if (!lease_is_over(e, now_us))
            continue;
        snprintf(reason, sizeof reason, "not heard of for %.1f s",
                 word_get(&e->lease_ttl_ms) / 1000.0);
        if (!end(t, i, now_us, object, sizeof object))
            continue;
        event_write(t, slot, "discovery", object, "registered", "expired", reason);
        ended++;
    }
    return ended;
}
