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

void cache_list_add(struct cache_list *all, struct txn_cache *tc)
{
    tc->next = NULL;
    tc->prev = all->last;
    if (all->last)
        all->last->next = tc;
    else
        all->first = tc;
    all->last = tc;
}

void cache_list_remove(struct cache_list *all, struct txn_cache *tc)
{
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
    cache_list_remove(&w->cache_waiters.list, tc);
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
    struct cache_list *all = &w->cache_waiters.list;
    for (uint32_t n = w->cache_waiters.count; n > 0 && all->first; n--) {
        struct txn_cache *tc = all->first;
        if (cache_claim_stands(w->table, tc->claim_hash, tc->claim)) {
            cache_list_remove(all, tc);
            cache_list_add(all, tc);
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
    cache_list_add(&w->cache_waiters.list, tc);
    if (w->cache_waiters.count++ == 0) {
        ev_timer_init(&w->cache_waiters.timer, on_look, LOOK_S, LOOK_S);
        ev_timer_start(w->loop, &w->cache_waiters.timer);
    }
    txn_wait(tc->t, &waiting, (uint32_t)(left_us / 1000));
}
