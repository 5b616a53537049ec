/*
 * shm/entry.h: backends in the table. Identity and membership change under the table's lock
 * (master, admin); the data path only reads them, reserves and releases. usable() is one function
 * over the three words: admin mode, observed health, breaker.
 */
#ifndef BALLAST_SHM_ENTRY_H
#define BALLAST_SHM_ENTRY_H

#include "shm/count.h"

struct entry_spec {
    const char *name;     /* unique within the pool */
    const char *endpoint; /* as shown */
    struct net_addr addr;
    uint32_t weight;
    uint32_t max_connections;
    bool backup;
    enum entry_origin origin;
    uint32_t source;                 /* of ORIGIN_DISCOVERY: what found it, 0: itself */
    const struct entry_check *check; /* NULL: as its pool says */
};

enum entry_status { /* what users see; derived, in this order of precedence */
                    STATUS_MAINTENANCE,
                    STATUS_DRAINING,
                    STATUS_UNHEALTHY, /* observed, or ejected by the breaker or passive checks */
                    STATUS_OVERLOADED,
                    STATUS_HEALTHY,
                    STATUS_UNKNOWN
};

static inline struct entry *entry_at(const struct table *t, uint32_t index)
{
    return &t->entries[index];
}

/* Adds a backend to a pool, at the end of its list. Caller holds the lock. Returns the index, or
 * INDEX_NONE when the table is full or memory cannot be reserved (errno ENOSPC). It starts enabled,
 * health unknown, and is seen by all processes at once. */
uint32_t entry_add(struct table *t, uint32_t pool, const struct entry_spec *spec) MUST_CHECK;
/* Takes a backend out of its pool: no new requests at once. The row is freed by entry_sweep when
 * nothing is in flight. Lock held. */
void entry_remove(struct table *t, uint32_t index);
/* Frees removed rows that drained. Admin, every second. Takes the lock. Returns how many were
 * freed. */
unsigned entry_sweep(struct table *t);
/* Configured fields change (reload): weight, max_connections, backup, origin. Name and address are
 * the identity. Lock held. */
void entry_configure(struct table *t, uint32_t index, const struct entry_spec *spec);
/* First live entry of pool with this name, or INDEX_NONE. */
uint32_t entry_find(const struct table *t, uint32_t pool, const char *name);
/* The members of a pool in order, a consistent snapshot (sequence lock; safe without the lock).
 * Returns the count, at most cap. */
uint32_t entry_members(const struct table *t, uint32_t pool, uint32_t *out, uint32_t cap);

/* admin: the lock is not needed (single words). Each touches the pool so that views follow. */
void entry_set_mode(struct table *t, uint32_t index, enum entry_mode mode);
/* As entry_set_mode, but a hash table follows when the lock is next given back: hold it. */
void entry_set_weight_override(struct table *t, uint32_t index,
                               uint32_t weight); /* UINT32_MAX: none */
uint32_t entry_weight(const struct entry *e);    /* effective */

/* Ends what is in flight there (worker/cut.h), within about a second; says nothing of new requests.
 * Lock held. */
void entry_cut(struct table *t, uint32_t index);
/* Was it cut off since header.cuts was `seen`? */
static inline bool entry_is_cut(const struct entry *e, uint32_t seen)
{
    uint32_t cut = word_get(&e->cut);
    return cut != 0 && (int32_t)(cut - seen) > 0;
}

/* health process: a new verdict. Returns true when it changed (the caller logs and records the
 * event). */
bool entry_set_health(struct table *t, uint32_t index, enum entry_health health);

/* What a cookie calls the backend of this name in this pool: a hash with a fixed key, the same
 * after a restart and on another host. */
uint64_t entry_stick_id(const char *pool, const char *name, size_t name_len);

enum entry_status entry_status(const struct entry *e);
const char *entry_status_name(enum entry_status status); /* "healthy", ... as in the API */
const char *entry_health_name(enum entry_health health);
const char *entry_mode_name(enum entry_mode mode);

/* May a new request without affinity go there? Live, enabled, weight above 0, breaker not open, and
 * not observed unhealthy: one of unknown health is usable (before its first check, or without
 * checks); whoever picks may prefer the healthy ones. Says nothing of max_connections: that is
 * entry_reserve. */
bool entry_usable(const struct entry *e);

/* Who is asked first: a known-good primary (0), then a primary nobody has checked yet, then the
 * backups likewise (2, 3). */
static inline unsigned entry_rank(const struct entry *e)
{
    return word_get(&e->backup) * 2 + (word_get(&e->health) == HEALTH_HEALTHY ? 0u : 1u);
}

/*
 * In-flight places. Reserve before acting: adds one to the slot's lane, then sums the lanes of all
 * workers (sequentially consistent); over the limit, or the entry no longer live with this
 * incarnation, takes it back and returns false. So the limit is exact for the host and a killed
 * worker's share disappears with its lane. Two that race for the last place may both give way; they
 * look again a few times before they are refused. slot: a claimed worker slot, the caller's own.
 * Cost: one cache line per 16 slots.
 *
 * A backend's cells are written only while holding a place: account first, then release. A removed
 * row is given to another backend, and its cells are cleared, when no place is held (it rests a
 * minute first unless the table or memory is full).
 */
bool entry_reserve(struct table *t, uint32_t index, uint32_t incarnation, uint32_t slot) MUST_CHECK;
void entry_release(struct table *t, uint32_t index, uint32_t slot);
/* The place of another process, which holds it until it knows that we do: never refused. False:
 * that row is another backend's by now. */
bool entry_take_over(struct table *t, uint32_t index, uint32_t incarnation,
                     uint32_t slot) MUST_CHECK;
uint32_t entry_inflight(const struct table *t, uint32_t index);

#endif
