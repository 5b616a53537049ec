/*
 * shm/slot.h: process places. Worker i holds slot i; health, admin and samples come after
 * SLOT_SERVICE_FIRST. The master writes pid, role, state; the process writes its own totals, gauges
 * and heartbeat.
 */
#ifndef BALLAST_SHM_SLOT_H
#define BALLAST_SHM_SLOT_H

#include "shm/count.h"

#define SLOT_SERVICE_FIRST                                                                         \
    56u /* slots [56, 64): health, admin, samples, broker; workers are at most 56                  \
         */
#define SLOT_HEALTH_INDEX 56u
#define SLOT_ADMIN_INDEX  57u
#define SLOT_BROKER_INDEX 63u
#define WORKERS_MAX       56u

const char *slot_role_name(enum slot_role role);
const char *slot_state_name(enum slot_state state);
/* Master, before fork: claims a slot for a new process; raises slots_high for workers. Takes the
 * lock. Totals of the predecessor stay and are counted on. Returns 0, or -1 with errno when the
 * memory for its cells cannot be reserved. */
int slot_claim(struct table *t, uint32_t slot, enum slot_role role, uint32_t index) MUST_CHECK;
void slot_set_pid(struct table *t, uint32_t slot, uint32_t pid);
void slot_set_state(struct table *t, uint32_t slot, enum slot_state state);
/* Master, after waitid: zeroes every gauge the dead process held (in-flight lanes, clients,
 * connections, queue) and touches the pools concerned. Totals stay. */
void slot_reclaim(struct table *t, uint32_t slot);
/* What the process is doing, for whoever looks at it after its death: one plain store. step from 0,
 * entry or INDEX_NONE. */
static inline void slot_breadcrumb(struct table *t, uint32_t slot, uint32_t step, uint32_t entry)
{
    atomic_store_explicit(&t->slots[slot].breadcrumb, (uint64_t)(step + 1) << 32 | entry,
                          memory_order_relaxed);
}
void slot_heartbeat(struct table *t, uint32_t slot, uint64_t now_us);
/* Age of the heartbeat in us, UINT64_MAX when it never beat. */
uint64_t slot_heartbeat_age_us(const struct table *t, uint32_t slot, uint64_t now_us);

/* Client admission, exact for the instance: true when one more client was reserved on this slot. */
bool slot_client_reserve(struct table *t, uint32_t slot) MUST_CHECK;
void slot_client_release(struct table *t, uint32_t slot);
/* The place of another process, which holds it until it knows that we do: never refused. */
void slot_client_take_over(struct table *t, uint32_t slot);
uint32_t slot_clients(const struct table *t); /* all slots */

#endif
