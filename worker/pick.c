/* worker/pick.c */
#include "worker/pick.h"

#include "base/log.h"
#include "worker/sticky.h"
#include "worker/verdict.h"

void pick_mark_tried(struct txn *t)
{
    if (t->lb.tried_count < LB_TRIED_MAX && t->entry != INDEX_NONE)
        t->lb.tried[t->lb.tried_count++] = t->entry;
}

void pick_release(struct txn *t)
{
    struct worker *w = t->worker;
    if (t->entry == INDEX_NONE)
        return;
    verdict_none(t);
    entry_release(w->table, t->entry, w->slot);
    pool_release(w->table, t->pool->conf->row, w->slot);
    t->entry = INDEX_NONE;
    w->queue_due |= w->queued > 0;
}

static void return_ticket(struct txn *t, uint32_t entry)
{
    if (t->ticket)
        breaker_return(t->worker->table, entry, t->ticket);
    t->ticket = BREAKER_NO_TICKET;
}

/* An index out of a hash table may have been given to another pool meanwhile. */
static bool reserve(struct txn *t, uint32_t entry)
{
    const struct entry *e = entry_at(t->worker->table, entry);
    uint32_t incarnation = word_get(&e->incarnation);
    if (word_get(&e->pool) != t->pool->view.pool)
        return false;
    if (UNLIKELY(t->pool->conf->breaker != NULL) &&
        !breaker_admit(t->worker->table, entry, &t->pool->breaker, &t->ticket))
        return false;
    if (entry_reserve(t->worker->table, entry, incarnation, t->worker->slot))
        return true;
    return_ticket(t, entry);
    return false;
}

static void unreserve(struct txn *t, uint32_t entry)
{
    entry_release(t->worker->table, entry, t->worker->slot);
    return_ticket(t, entry);
}

/* As reserve, within the pool's max_load: before its place was taken there was room, but another
 * worker may have been there meanwhile. */
static bool reserve_within(struct txn *t, uint32_t entry)
{
    if (!reserve(t, entry))
        return false;
    if (LIKELY(lb_has_room(&t->pool->view, &t->lb, entry, 0)))
        return true;
    unreserve(t, entry);
    return false;
}

/* More members than `tried` holds were full: look at every one. */
static uint32_t scan(struct txn *t, const struct lb_view *v)
{
    for (uint32_t m = 0; m < v->count; m++)
        if (!lb_tried(&t->lb, v->members[m].entry) && reserve_within(t, v->members[m].entry))
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

bool pick_has_other(const struct txn *t)
{
    const struct lb_view *v = &t->pool->view;
    for (uint32_t m = 0; m < v->count; m++)
        if (v->members[m].entry != t->entry && !lb_tried(&t->lb, v->members[m].entry))
            return true;
    return false;
}

/* Nobody is usable, and the pool asks them all the same: the next one in turn that nobody turned
 * off. */
static uint32_t choose_anyone(struct txn *t, uint32_t pool)
{
    static uint32_t members[ENTRY_MAX];
    const struct table *table = t->worker->table;
    uint32_t n = entry_members(table, pool, members, ENTRY_MAX);
    uint64_t start = pool_cursor_next(pool_at(table, pool));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t entry = members[(start + i) % n];
        const struct entry *e = entry_at(table, entry);
        bool on = word_get(&e->mode) == MODE_ENABLED && entry_weight(e) > 0;
        if (on && !lb_tried(&t->lb, entry) &&
            entry_reserve(t->worker->table, entry, word_get(&e->incarnation), t->worker->slot))
            return entry;
    }
    return INDEX_NONE;
}

static uint32_t choose(struct txn *t, struct lb_view *v)
{
    uint32_t failed = t->lb.tried_count; /* those before were tried for good */
    uint32_t entry = INDEX_NONE;
    while (v->count && (entry = v->algorithm->select(v, &t->lb)) != INDEX_NONE) {
        if (reserve_within(t, entry))
            break;
        if (t->lb.tried_count == LB_TRIED_MAX) {
            entry = scan(t, v);
            break;
        }
        t->lb.tried[t->lb.tried_count++] = entry;
    }
    t->lb.tried_count = failed;
    return entry;
}

/* Those within max_load are full or failed: better one that has more than its share. */
static uint32_t choose_beyond(struct txn *t, struct lb_view *v)
{
    t->lb.unbounded = true;
    uint32_t entry = choose(t, v);
    t->lb.unbounded = false;
    return entry;
}

/* The client's own backend, if it has one that takes it. */
static uint32_t choose_own(struct txn *t, struct lb_view *v)
{
    uint32_t entry = sticky_first(t);
    if (entry == INDEX_NONE || !reserve(t, entry))
        entry = choose(t, v);
    return entry;
}

static bool belongs(const struct txn *t)
{
    return t->pool->conf->sticky != NULL || t->stick != INDEX_NONE;
}

static void refresh(struct txn *t, struct lb_view *v)
{
    const struct conf_pool *p = t->pool->conf;
    struct worker *w = t->worker;
    pool_recheck(w->table, p->row, w->slot, t->pool->breaker.timeout_ms, w->now_us);
    if (lb_view_refresh(v, w->now_us) == -1)
        log_error("out of memory: pool %s cannot be looked at anew", p->name);
}

enum pick_result pick_backend(struct txn *t)
{
    struct lb_view *v = &t->pool->view;
    struct worker *w = t->worker;
    refresh(t, v);
    t->entry = INDEX_NONE;
    if (!pool_reserve(w->table, t->pool->conf->row, w->slot))
        return v->count ? PICK_FULL : PICK_NONE;
    t->lb.random = worker_random(w);
    t->lb.now_us = t->sent_us = w->now_us;
    t->lb.placed = true;
    t->entry = UNLIKELY(belongs(t)) ? choose_own(t, v) : choose(t, v);
    if (UNLIKELY(t->entry == INDEX_NONE && t->pool->conf->max_load_milli))
        t->entry = choose_beyond(t, v);
    if (UNLIKELY(v->count == 0) && t->pool->conf->all_down == CONF_ALL_DOWN_TRY)
        t->entry = choose_anyone(t, t->pool->conf->row);
    if (t->entry != INDEX_NONE) {
        if (UNLIKELY(t->pool->conf->sticky != NULL))
            sticky_chosen(t);
        return PICK_OK;
    }
    pool_release(w->table, t->pool->conf->row, w->slot);
    count_add(&table_pcell(w->table, w->slot, t->pool->conf->row)->no_backend, 1);
    return any_left(t, v) ? PICK_FULL : PICK_NONE;
}
