/*
 * worker/worker.c: the worker role: one event loop, its acceptors, connections and pools, and the
 * hooks by which the process adopts generations, drains and leaves.
 */
#include "worker/worker.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "proc/control.h"
#include "worker/access_log.h"
#include "worker/access_sink.h"
#include "worker/ahead.h"
#include "worker/batch.h"
#include "worker/cache.h"
#include "worker/conn.h"
#include "worker/cut.h"
#include "worker/h2.h"
#include "worker/h2_backend.h"
#include "worker/handover.h"
#include "worker/queue.h"
#include "worker/udp.h"
#include "worker/upool.h"
#include "worker/side.h"
#include "worker/tls_turns.h"
#include "worker/worker_int.h"

#define ACCEPT_PAUSE_S                                                                             \
    0.05 /* how long clients wait in the queue before the limit is looked at again */
#define UPOOL_SWEEP_S 1.0

static void on_clock(struct ev_loop *loop, struct ev_check *check, int revents)
{
    (void)loop, (void)revents;
    struct worker *w = CONTAINER_OF(check, struct worker, clock);
    w->now_us = clock_mono_us();
    tls_turns_begin(w);
}

static void on_pause_over(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)revents;
    struct worker *w = CONTAINER_OF(timer, struct worker, pause);
    ev_timer_stop(loop, timer);
    if (!w->draining)
        accept_start(w);
}

static void on_sweep(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    struct worker *w = CONTAINER_OF(timer, struct worker, sweep);
    upool_sweep(w);
    moved_sweep(w);
    cut_look(w);
    access_sink_flush_all(w);
    h2_backends_sweep(w);
}

void worker_retire_conn(struct worker *w, struct conn *c)
{
    c->next = w->retired_conns;
    w->retired_conns = c;
}

void worker_retire_txn(struct worker *w, struct txn *t)
{
    t->next = w->retired_txns;
    w->retired_txns = t;
}

void worker_retire_upstream(struct worker *w, struct upstream *u)
{
    u->next = w->retired_upstreams;
    w->retired_upstreams = u;
}

static void free_retired(struct worker *w)
{
    for (struct conn *c; (c = w->retired_conns);) {
        w->retired_conns = c->next;
        MAGIC_CLEAR(c);
        slab_put(&w->conn_slab, c);
    }
    for (struct txn *t; (t = w->retired_txns);) {
        w->retired_txns = t->next;
        MAGIC_CLEAR(t);
        slab_put(&w->txn_slab, t);
    }
    for (struct upstream *u; (u = w->retired_upstreams);) {
        w->retired_upstreams = u->next;
        MAGIC_CLEAR(u);
        slab_put(&w->upstream_slab, u);
    }
}

static void on_iteration_end(struct ev_loop *loop, struct ev_prepare *prepare, int revents)
{
    (void)loop, (void)revents;
    struct worker *w = CONTAINER_OF(prepare, struct worker, reaper);
    if (UNLIKELY(w->queue_due))
        queue_pump(w);
    free_retired(w);
    if (w->udp)
        udp_flush(w);
    if (w->draining && w->conn_count == 0)
        child_exit(w->child);
}

static void start_watchers(struct worker *w)
{
    ev_check_init(&w->clock, on_clock);
    ev_set_priority(&w->clock, EV_MAXPRI);
    ev_check_start(w->loop, &w->clock);
    ev_prepare_init(&w->reaper, on_iteration_end);
    ev_prepare_start(w->loop, &w->reaper);
    ev_timer_init(&w->pause, on_pause_over, ACCEPT_PAUSE_S, ACCEPT_PAUSE_S);
    queue_init(w);
    cache_init(w);
    ev_timer_init(&w->sweep, on_sweep, UPOOL_SWEEP_S, UPOOL_SWEEP_S);
    ev_timer_start(w->loop, &w->sweep);
}

static struct worker *create(struct child *c)
{
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->child = c;
    w->loop = c->loop;
    w->table = c->table;
    w->slot = c->slot;
    w->now_us = clock_mono_us();
    w->cuts_seen = word_get(&w->table->header->cuts);
    struct hash_key seed = hash_key_random();
    w->random[0] = seed.k0 | 1;
    w->random[1] = seed.k1;
    slab_init(&w->side_slab, side_bytes());
    slab_init(&w->conn_slab, sizeof(struct conn));
    h2_init(w);
    slab_init(&w->txn_slab, sizeof(struct txn));
    slab_init(&w->upstream_slab, sizeof(struct upstream));
    slab_init(&w->head_slab, sizeof(struct http1_head));
    slab_init(&w->note_slab, sizeof(struct access_note));
    return w;
}

static int worker_start(struct child *c, char *why, size_t why_cap)
{
    struct worker *w = create(c);
    c->data = w;
    if (!w) {
        snprintf(why, why_cap, "out of memory");
        return -1;
    }
    w->gen = gen_new(w, c->conf, why, why_cap);
    if (!w->gen)
        return -1;
    if (accept_sync(w) == -1) {
        snprintf(why, why_cap, "out of memory");
        return -1;
    }
    start_watchers(w);
    ahead_use(w, batch_use(w->loop, c->conf->io_uring));
    return 0;
}

static void worker_serve(struct child *c)
{
    accept_start(c->data);
}

static int worker_offer(struct child *c, const struct conf *next, char *why, size_t why_cap)
{
    struct worker *w = c->data;
    w->offered = gen_new(w, next, why, why_cap);
    return w->offered ? 0 : -1;
}

static void worker_abort(struct child *c, const struct conf *next)
{
    (void)next;
    struct worker *w = c->data;
    if (w->offered)
        gen_discard(w->offered);
    w->offered = NULL;
}

static void worker_go(struct child *c, const struct conf *old)
{
    (void)old;
    struct worker *w = c->data;
    struct gen *before = w->gen;
    accept_drain_removed(w, w->offered->conf);
    w->gen = w->offered;
    w->offered = NULL;
    ahead_use(w, batch_use(w->loop, c->conf->io_uring));
    if (accept_sync(w) == -1)
        log_error("out of memory: a new listener is not served by this worker");
    child_listens_prune(c);
    if (!w->draining)
        accept_start(w);
    moved_follow(w, before);
    upool_forget_removed(w);
    gen_unref(w, before);
}

static void worker_drain(struct child *c, uint32_t deadline_ms)
{
    (void)deadline_ms; /* proc enforces it */
    struct worker *w = c->data;
    if (w->draining)
        return;
    batch_flush(); /* what a client does not take is known before it is told to go */
    accept_drain(w);
    w->draining = true;
    conn_drain_all(w);
    upool_close_all(w);
    handover_all(w);
}

static void worker_leave(struct child *c)
{
    batch_flush();
    access_sink_flush_all(c->data);
}

static void worker_queue(struct child *c, uint32_t bind_id, int fd)
{
    accept_queue(c->data, bind_id, fd);
}

/* The hook's descriptor is closed behind it. */
static void worker_message(struct child *c, uint32_t type, uint32_t number, const char *text,
                           int fd)
{
    (void)number, (void)text;
    int channel = fd == -1 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (channel == -1)
        log_warning("no channel to hand connections over");
    else if (type == CTL_HANDOVER)
        handover_begin(c->data, channel);
    else
        handover_receive(c->data, channel);
}

const struct role worker_role = {
    .name = "worker",
    .slot_role = SLOT_WORKER,
    .sandbox = SANDBOX_NO_FILES,
    .start = worker_start,
    .serve = worker_serve,
    .offer = worker_offer,
    .abort = worker_abort,
    .go = worker_go,
    .drain = worker_drain,
    .leave = worker_leave,
    .queue = worker_queue,
    .message = worker_message,
};
