/* worker/queue.c */
#include "worker/queue.h"

#include "shm/queue.h"
#include "worker/conn.h"
#include "worker/dispatch.h"
#include "worker/txn.h"
#include "worker/worker_int.h"

#define LOOK_S 0.002

static struct queue *queue_of(const struct txn *t)
{
    return &t->worker->queues[t->pool->conf->row];
}

static void publish(const struct txn *t)
{
    const struct queue *q = queue_of(t);
    queue_set_first(t->worker->table, t->pool->conf->row, t->worker->slot,
                    q->first ? q->first->queued_us : 0);
}

static void unlink_txn(struct txn *t)
{
    struct queue *q = queue_of(t);
    if (t->queue_prev)
        t->queue_prev->next = t->next;
    else
        q->first = t->next;
    if (t->next)
        t->next->queue_prev = t->queue_prev;
    else
        q->last = t->queue_prev;
    t->next = t->queue_prev = NULL;
}

static void leave(struct txn *t)
{
    struct worker *w = t->worker;
    unlink_txn(t);
    publish(t);
    queue_release(w->table, t->pool->conf->row, w->slot);
    if (--w->queued == 0)
        ev_timer_stop(w->loop, &w->queue_timer);
}

static void on_over(struct txn *t)
{
    leave(t);
    t->wait = NULL;
    txn_fail(t, 503, "No server became free in time");
}

static const struct txn_wait waiting = {.over = on_over, .cancel = leave};

void queue_leave(struct txn *t)
{
    leave(t);
    t->wait = NULL;
}

bool queue_must_wait(const struct txn *t)
{
    return queue_length(t->worker->table, t->pool->conf->row) > 0;
}

void queue_enter(struct txn *t)
{
    struct worker *w = t->worker;
    const struct conf_pool *p = t->pool->conf;
    struct queue *q = queue_of(t);
    if (!queue_reserve(w->table, p->row, w->slot, p->queue.size)) {
        txn_fail(t, 503, "All servers are busy and the queue is full");
        return;
    }
    t->queued_us = w->now_us;
    t->queue_prev = q->last;
    t->next = NULL;
    if (q->last)
        q->last->next = t;
    else
        q->first = t;
    q->last = t;
    publish(t);
    if (w->queued++ == 0)
        ev_timer_again(w->loop, &w->queue_timer);
    w->queue_due = true; /* the last place may have become free meanwhile */
    txn_wait(t, &waiting, p->queue.timeout_ms);
}

/* The first of this worker's; false: not its turn, or still no place. */
static bool serve_first(struct worker *w, struct txn *t)
{
    uint64_t patience_us = t->pool->conf->queue.timeout_ms * 1000ull;
    uint64_t horizon_us = w->now_us > patience_us ? w->now_us - patience_us : 0;
    struct conn *c = t->conn;
    if (!queue_is_first(w->table, t->pool->conf->row, w->slot, t->queued_us, horizon_us) ||
        !txn_dispatch_queued(t))
        return false;
    conn_continue(c);
    return true;
}

void queue_pump(struct worker *w)
{
    uint32_t pools = w->queued ? word_get(&w->table->header->pools_high) : 0;
    w->queue_due = false;
    for (uint32_t i = 0; i < pools && w->queued; i++)
        while (w->queues[i].first && serve_first(w, w->queues[i].first))
            ;
}

static void on_look(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    CONTAINER_OF(timer, struct worker, queue_timer)->queue_due = true;
}

void queue_init(struct worker *w)
{
    ev_timer_init(&w->queue_timer, on_look, LOOK_S, LOOK_S);
}
