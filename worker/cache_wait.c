/*
 * worker/cache_wait.c: requests that wait for the fetch of another, who may be in another worker.
 * Nobody wakes them: each worker with some of them looks at their claims every few milliseconds.
 */
#include "worker/account.h"
#include "worker/cache_int.h"
#include "worker/conn.h"
#include "worker/txn.h"
#include "worker/txn_start.h"

#define LOOK_S 0.002

static void link_last(struct txn_cache *tc)
{
    struct cache_waiters *all = &tc->t->worker->cache_waiters;
    tc->next = NULL;
    tc->prev = all->last;
    if (all->last)
        all->last->next = tc;
    else
        all->first = tc;
    all->last = tc;
}

static void unlink_one(struct txn_cache *tc)
{
    struct cache_waiters *all = &tc->t->worker->cache_waiters;
    if (tc->prev)
        tc->prev->next = tc->next;
    else
        all->first = tc->next;
    if (tc->next)
        tc->next->prev = tc->prev;
    else
        all->last = tc->prev;
}

void cache_wait_end(struct txn_cache *tc)
{
    struct worker *w = tc->t->worker;
    if (!tc->waiting)
        return;
    unlink_one(tc);
    tc->waiting = false;
    if (--w->cache_waiters.count == 0)
        ev_timer_stop(w->loop, &w->cache_waiters.timer);
}

static void cancel(struct txn *t)
{
    cache_wait_end(t->cache);
}

/* The step is taken again. */
static void go_on(struct txn_cache *tc)
{
    struct conn *c = tc->t->conn;
    cache_wait_end(tc);
    tc->t->step--;
    txn_advance(tc->t);
    conn_continue(c);
}

static void over(struct txn *t)
{
    t->cache->impatient = true;
    cache_wait_end(t->cache);
    t->step--;
    txn_advance(t);
}

static const struct txn_wait waiting = {over, cancel};

/* Each is looked at once, whatever the others do meanwhile. */
static void on_look(struct ev_loop *loop UNUSED, struct ev_timer *timer, int revents UNUSED)
{
    struct worker *w = CONTAINER_OF(timer, struct worker, cache_waiters.timer);
    for (uint32_t n = w->cache_waiters.count; n > 0 && w->cache_waiters.first; n--) {
        struct txn_cache *tc = w->cache_waiters.first;
        if (cache_claim_stands(w->table, tc->claim_hash, tc->claim)) {
            unlink_one(tc);
            link_last(tc);
        } else {
            go_on(tc);
        }
    }
}

void cache_wait(struct txn_cache *tc)
{
    struct worker *w = tc->t->worker;
    uint64_t left_us = tc->patience_us > w->now_us ? tc->patience_us - w->now_us : 0;
    if (!tc->waited)
        account_cache_waits(w);
    tc->waited = tc->waiting = true;
    link_last(tc);
    if (w->cache_waiters.count++ == 0) {
        ev_timer_init(&w->cache_waiters.timer, on_look, LOOK_S, LOOK_S);
        ev_timer_start(w->loop, &w->cache_waiters.timer);
    }
    txn_wait(tc->t, &waiting, (uint32_t)(left_us / 1000));
}
