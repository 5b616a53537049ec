/*
 * shm/pool.h: pools and listeners as rows of the table: names, membership version, shared cursor.
 */
#ifndef BALLAST_SHM_POOL_H
#define BALLAST_SHM_POOL_H

#include "shm/count.h"

static inline struct pool_row *pool_at(const struct table *t, uint32_t index)
{
    return &t->pools[index];
}
/* Row of a live pool by name, or INDEX_NONE. */
uint32_t pool_find(const struct table *t, const char *name);
/* Makes a pool row. Lock held. INDEX_NONE when full. */
uint32_t pool_add(struct table *t, const char *name) MUST_CHECK;
/* Removes the row and all its members. Lock held. */
void pool_remove(struct table *t, uint32_t index);
/* Something about a member changed: views rebuild at their next pick. Any process. */
void pool_touch(struct table *t, uint32_t index);
/* Does any member take new requests? */
bool pool_has_usable(const struct table *t, uint32_t index);
/*
 * A place in the pool: reserve before acting, exact over all workers as entry_reserve (0: no
 * limit). pool_reserve also counts what is in flight for the retry budget and whoever wants to
 * know.
 */
bool pool_reserve(struct table *t, uint32_t index, uint32_t slot) MUST_CHECK;
void pool_release(struct table *t, uint32_t index, uint32_t slot);
void pool_take_over(struct table *t, uint32_t index, uint32_t slot); /* as entry_take_over */
uint32_t pool_inflight(const struct table *t, uint32_t index);
/* One of the requests in flight becomes a retry: at most `percent` of them may be, but three always
 * may. */
bool pool_retry_reserve(struct table *t, uint32_t index, uint32_t slot,
                        uint32_t percent) MUST_CHECK;
void pool_retry_release(struct table *t, uint32_t index, uint32_t slot);

/* Something about a member changes by itself at this time: the next pick after it looks. */
void pool_recheck_at(struct table *t, uint32_t index, uint64_t at_us);
/* Time has come: backends that were out for a while come back, open breakers let probes through.
 * breaker_timeout_ms: 0 when the pool has no breaker. Cheap unless due. */
void pool_recheck_now(struct table *t, uint32_t index, uint32_t slot, uint32_t breaker_timeout_ms,
                      uint64_t now_us);
static inline void pool_recheck(struct table *t, uint32_t index, uint32_t slot,
                                uint32_t breaker_timeout_ms, uint64_t now_us)
{
    uint64_t due_us = count_get(&t->pools[index].recheck_us);
    if (UNLIKELY(due_us != 0 && due_us <= now_us))
        pool_recheck_now(t, index, slot, breaker_timeout_ms, now_us);
}

/* Bounded loads: milli 1250: no member takes more than 1.25 times its share; 0: no bound. Lock
 * held.
 */
void pool_set_max_load(struct table *t, uint32_t index, uint32_t milli);
/* What those who only read the table need in order to choose as the workers do. Lock held. */
void pool_set_balance(struct table *t, uint32_t index, uint32_t balance);
void pool_set_policy(struct table *t, uint32_t index, enum pool_key key, bool all_down_try);
/* Next position of the shared cursor, or of a reader's own. */
static inline uint64_t cursor_next(atom64 *cursor)
{
    return atomic_fetch_add_explicit(cursor, 1, memory_order_relaxed);
}
static inline uint64_t pool_cursor_next(struct pool_row *p)
{
    return cursor_next(&p->cursor);
}

uint32_t listener_find(const struct table *t, const char *name);
uint32_t listener_add(struct table *t,
                      const char *name) MUST_CHECK; /* lock held; INDEX_NONE when full */
/* Client admission, exact over all workers as entry_reserve (0: no limit). */
bool listener_client_reserve(struct table *t, uint32_t index, uint32_t slot) MUST_CHECK;
void listener_client_release(struct table *t, uint32_t index, uint32_t slot);
void listener_client_take_over(struct table *t, uint32_t index, uint32_t slot);
/* The listener of a connection has another row now. */
void listener_client_move(struct table *t, uint32_t from, uint32_t to, uint32_t slot);
void listener_remove(struct table *t, uint32_t index); /* lock held */

#endif
