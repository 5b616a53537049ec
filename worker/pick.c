/* worker/pick.c */
#include "worker/pick.h"

#include "base/log.h"

void pick_mark_tried(struct txn *t)
{
    if (t->lb.tried_count < LB_TRIED_MAX && t->entry != INDEX_NONE)
        t->lb.tried[t->lb.tried_count++] = t->entry;
}

void pick_release(struct txn *t)
{
    if (t->entry == INDEX_NONE)
        return;
    entry_release(t->worker->table, t->entry, t->worker->slot);
    t->entry = INDEX_NONE;
}

/* An index out of a hash table may have been given to another pool meanwhile. */
static bool reserve(struct txn *t, uint32_t entry)
{
    const struct entry *e = entry_at(t->worker->table, entry);
    uint32_t incarnation = word_get(&e->incarnation);
    if (word_get(&e->pool) != t->pool->view.pool)
        return false;
    return entry_reserve(t->worker->table, entry, incarnation, t->worker->slot);
}

/* More members than `tried` holds were full: look at every one. */
static uint32_t scan(struct txn *t, const struct lb_view *v)
{
    for (uint32_t m = 0; m < v->count; m++)
        if (!lb_tried(&t->lb, v->members[m].entry) && reserve(t, v->members[m].entry))
            return v->members[m].entry;
    return INDEX_NONE;
}

/* Somebody could be asked who has not failed: then all of those are full. */
static bool any_left(const struct txn *t, const struct lb_view *v)
{
    for (uint32_t m = 0; m < v->count; m++)
        if (!lb_tried(&t->lb, v->members[m].entry))
            return true;
    return false;
}

enum pick_result pick_backend(struct txn *t)
{
    struct lb_view *v = &t->pool->view;
    if (lb_view_refresh(v) == -1)
        log_error("out of memory: pool %s keeps its old view", t->pool->conf->name);
    t->lb.random = worker_random(t->worker);
    t->lb.now_us = t->sent_us = t->worker->now_us;
    uint32_t failed = t->lb.tried_count; /* those before were tried for good */
    uint32_t entry = INDEX_NONE;
    t->entry = INDEX_NONE;
    while (v->count && (entry = v->algorithm->select(v, &t->lb)) != INDEX_NONE) {
        if (reserve(t, entry)) {
            t->entry = entry;
            break;
        }
        if (t->lb.tried_count == LB_TRIED_MAX) {
            t->entry = scan(t, v);
            break;
        }
        t->lb.tried[t->lb.tried_count++] = entry;
    }
    t->lb.tried_count = failed;
    if (t->entry != INDEX_NONE)
        return PICK_OK;
    count_add(&table_pcell(t->worker->table, t->worker->slot, t->pool->conf->row)->no_backend, 1);
    return any_left(t, v) ? PICK_FULL : PICK_NONE;
}
