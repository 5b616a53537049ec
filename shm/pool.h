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
/* Next position of the shared cursor. */
static inline uint64_t pool_cursor_next(struct pool_row *p)
{
    return atomic_fetch_add_explicit(&p->cursor, 1, memory_order_relaxed);
}

uint32_t listener_find(const struct table *t, const char *name);
uint32_t listener_add(struct table *t,
                      const char *name) MUST_CHECK;    /* lock held; INDEX_NONE when full */
void listener_remove(struct table *t, uint32_t index); /* lock held */

#endif
