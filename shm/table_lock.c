/*
 * shm/table_lock.c: the table's one lock, and what is repaired when a holder was killed. The
 * writers of shm/pool.c and shm/entry.c change a list by single stores in an order that leaves it
 * walkable at any moment; what a death can leave behind is a stale tail or count, a live row that
 * hangs nowhere, a removed one that still hangs, and an odd sequence number.
 */
#include "shm/table_int.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "base/log.h"
#include "shm/count.h"
#include "shm/hashtable.h"
#include "shm/loads.h"
#include "shm/pool.h"

struct seen {
    uint64_t bits[ENTRY_MAX / 64];
};

static bool see(struct seen *s, uint32_t index)
{
    uint64_t bit = (uint64_t)1 << (index % 64);
    bool fresh = !(s->bits[index / 64] & bit);
    s->bits[index / 64] |= bit;
    return fresh;
}

/* Drops from the list what does not belong there; recounts. */
static void repair_pool(struct table *t, uint32_t pool, uint32_t high, struct seen *seen)
{
    struct pool_row *p = &t->pools[pool];
    atom32 *link = &p->head;
    uint32_t tail = INDEX_NONE, count = 0;
    for (uint32_t i; (i = word_get(link)) != INDEX_NONE;) {
        struct entry *e = i < high ? &t->entries[i] : NULL;
        if (!e || !see(seen, i)) {
            word_set(link, INDEX_NONE);
            break;
        }
        if (word_get(&e->state) != ROW_LIVE || word_get(&e->pool) != pool) {
            word_set(link, word_get(&e->next));
            continue;
        }
        tail = i;
        count++;
        link = &e->next;
    }
    word_set(&p->tail, tail);
    word_set(&p->count, count);
    word_set(&p->seq, (word_get(&p->seq) + 1) & ~1u);
    loads_rebuild(t, pool);
    pool_touch(t, pool);
    hashtable_mark(t, pool);
}

void table_repair(struct table *t)
{
    struct table_header *h = t->header;
    struct seen seen = {0};
    uint32_t high = word_get(&h->entries_high), free_rows = 0;
    for (uint32_t i = 0; i < word_get(&h->pools_high); i++)
        if (word_get(&t->pools[i].state) == ROW_LIVE)
            repair_pool(t, i, high, &seen);
    for (uint32_t i = 0; i < high; i++) {
        struct entry *e = &t->entries[i];
        if (word_get(&e->state) == ROW_LIVE && see(&seen, i))
            word_set(&e->state, ROW_REMOVED); /* was being added */
        free_rows += word_get(&e->state) == ROW_FREE;
    }
    word_set(&h->entries_free, free_rows);
    word_set(&h->membership, word_get(&h->membership) + 1);
}

void table_lock(struct table *t)
{
    int rc = pthread_mutex_lock(&t->header->lock);
    if (rc == EOWNERDEAD) {
        log_warning("table: a process died holding the lock, repairing the member lists");
        table_repair(t);
        rc = pthread_mutex_consistent(&t->header->lock);
    }
    assert(rc == 0);
}

void table_unlock(struct table *t)
{
    hashtable_publish(t);
    int rc = pthread_mutex_unlock(&t->header->lock);
    assert(rc == 0);
}
