#include "worker/pace.h"

#include <errno.h>
#include <stdlib.h>
#include "worker/conn.h"
#include "worker/link.h"

#define SECOND_US  1000000u
#define QUANTUM_US 50000u /* between two wake-ups, at least */
#define PACKET     1460u

/* ---- the clock ---- */

/* What is sent at a time: a packet, or what fifty milliseconds are worth; at most a second's. */
static uint64_t quantum_us(uint64_t rate)
{
    uint64_t packet_us = (uint64_t)PACKET * SECOND_US / rate;
    uint64_t us = packet_us > QUANTUM_US ? packet_us : QUANTUM_US;
    return us < SECOND_US ? us : SECOND_US;
}

/* Time that was not used is worth something up to two of these. */
static void forget_old(struct pace_clock *p, uint64_t rate, uint64_t now_us)
{
    uint64_t most_us = 2 * quantum_us(rate);
    if (p->paid_us + most_us < now_us)
        p->paid_us = now_us - most_us;
}

uint64_t pace_allowed(struct pace_clock *p, uint64_t rate, uint64_t now_us)
{
    forget_old(p, rate, now_us);
    return now_us > p->paid_us ? (now_us - p->paid_us) * rate / SECOND_US : 0;
}

void pace_charge(struct pace_clock *p, uint64_t rate, uint64_t bytes)
{
    p->paid_us += (bytes * SECOND_US + rate - 1) / rate;
}

uint64_t pace_wait_us(struct pace_clock *p, uint64_t rate, uint64_t now_us)
{
    forget_old(p, rate, now_us);
    uint64_t due_us = p->paid_us + quantum_us(rate);
    return due_us > now_us ? due_us - now_us : 0;
}

/* ---- the link ---- */

/* One direction. */
struct way {
    struct pace_clock clock;
    struct ev_timer refill;
};

struct pace {
    struct link link;
    struct link *below; /* NULL: the socket */
    struct conn *conn;
    struct way out, in;
    int wanted;   /* events, held back or not */
    uint32_t due; /* of what was offered below and not taken: TLS wants to see it again */
};

static const struct link_ops pace_ops;

static struct pace *self(struct link *l)
{
    return CONTAINER_OF(l, struct pace, link);
}

/* 0: no limit, or no such listener any more. */
static uint64_t rate_out(const struct pace *p)
{
    const struct conf_listener *listener = conn_listener(p->conn);
    return listener ? listener->limits.bandwidth : 0;
}

static uint64_t rate_in(const struct pace *p)
{
    const struct conf_listener *listener = conn_listener(p->conn);
    return listener ? listener->limits.upload_bandwidth : 0;
}

static uint64_t wait_us(struct pace *p, struct way *way, uint64_t rate)
{
    return rate ? pace_wait_us(&way->clock, rate, p->conn->worker->now_us) : 0;
}

/* ---- what is waited for ---- */

/* The event is one of those that are wanted, and its time has not come. */
static bool hold_back(struct pace *p, struct way *way, uint64_t rate, int event)
{
    struct ev_loop *loop = p->conn->worker->loop;
    uint64_t us = p->wanted & event ? wait_us(p, way, rate) : 0;
    ev_timer_stop(loop, &way->refill);
    if (us == 0)
        return false;
    ev_timer_set(&way->refill, (double)us / SECOND_US, 0.);
    ev_timer_start(loop, &way->refill);
    return true;
}

/* The socket's being readable or writable is not waited for while nothing may be read or sent. */
static void watch(struct pace *p)
{
    struct conn *c = p->conn;
    int events = p->wanted;
    if (hold_back(p, &p->out, p->due == 0 ? rate_out(p) : 0, EV_WRITE))
        events &= ~EV_WRITE;
    if (hold_back(p, &p->in, rate_in(p), EV_READ))
        events &= ~EV_READ;
    link_watch(p->below, c->worker->loop, &c->io, events);
}

static void on_refill_out(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)revents;
    struct pace *p = CONTAINER_OF(timer, struct pace, out.refill);
    ev_timer_stop(loop, timer);
    ev_feed_event(loop, &p->conn->io, EV_WRITE);
}

/* Bytes of a TLS record that was read already are announced by the link below. */
static void on_refill_in(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)revents;
    struct pace *p = CONTAINER_OF(timer, struct pace, in.refill);
    ev_timer_stop(loop, timer);
    watch(p);
}

static void pace_want(struct link *l, int events)
{
    struct pace *p = self(l);
    p->wanted = events;
    watch(p);
}

static int pace_wanted(struct link *l)
{
    return self(l)->wanted;
}

/* ---- bytes ---- */

static ssize_t pace_recv(struct link *l, struct buf *b)
{
    struct pace *p = self(l);
    uint64_t rate = rate_in(p);
    if (wait_us(p, &p->in, rate) > 0) {
        watch(p);
        errno = EAGAIN;
        return -1;
    }
    uint32_t cap = b->cap;
    uint64_t most = rate ? pace_allowed(&p->in.clock, rate, p->conn->worker->now_us) : UINT32_MAX;
    if (most < buf_room(b))
        b->cap = b->end + (uint32_t)most;
    ssize_t n = link_recv(p->below, conn_fd(p->conn), b);
    bool all = buf_room(b) == 0 && b->cap < cap;
    b->cap = cap;
    if (rate && n > 0)
        pace_charge(&p->in.clock, rate, (uint64_t)n);
    if (all) /* what is left is not asked for by who sees room */
        watch(p);
    return n;
}

/* Offers the first `most` bytes of the two runs. */
static ssize_t offer(struct pace *p, struct buf *first, struct buf *second, uint32_t second_ready,
                     uint32_t most)
{
    int fd = conn_fd(p->conn);
    uint32_t head = first ? buf_len(first) : 0;
    if (most >= head)
        return link_send(p->below, fd, first, second,
                         most - head < second_ready ? most - head : second_ready);
    uint32_t end = first->end;
    first->end = first->start + most;
    ssize_t n = link_send(p->below, fd, first, NULL, 0);
    first->end = end;
    return n;
}

static ssize_t pace_send(struct link *l, struct buf *first, struct buf *second,
                         uint32_t second_ready)
{
    struct pace *p = self(l);
    uint64_t rate = rate_out(p), now_us = p->conn->worker->now_us;
    uint64_t most = rate ? pace_allowed(&p->out.clock, rate, now_us) : UINT32_MAX;
    uint32_t whole = (first ? buf_len(first) : 0) + (second ? second_ready : 0);
    most = most < p->due ? p->due : most;
    uint32_t offered = most < whole ? (uint32_t)most : whole;
    if (offered == 0) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t n = offer(p, first, second, second ? second_ready : 0, offered);
    uint32_t sent = n > 0 ? (uint32_t)n : 0;
    p->due = offered - sent;
    if (rate)
        pace_charge(&p->out.clock, rate, sent);
    return n;
}

static int pace_shut(struct link *l)
{
    struct pace *p = self(l);
    return link_shut(p->below, conn_fd(p->conn));
}

static int pace_ready(struct link *l, int revents)
{
    struct pace *p = self(l);
    return p->below ? p->below->ops->ready(p->below, revents) : revents;
}

static bool pace_idle(struct link *l)
{
    struct pace *p = self(l);
    return link_alive(p->below, conn_fd(p->conn));
}

static void pace_end(struct link *l, bool reset)
{
    struct pace *p = self(l);
    ev_timer_stop(p->conn->worker->loop, &p->out.refill);
    ev_timer_stop(p->conn->worker->loop, &p->in.refill);
    if (p->below)
        p->below->ops->end(p->below, reset);
    free(p);
}

static const struct link_ops pace_ops = {
    .recv = pace_recv,
    .send = pace_send,
    .shut = pace_shut,
    .want = pace_want,
    .wanted = pace_wanted,
    .ready = pace_ready,
    .idle = pace_idle,
    .end = pace_end,
};

bool pace_begin(struct conn *c)
{
    if (c->link && c->link->ops == &pace_ops)
        return true;
    struct pace *p = calloc(1, sizeof *p);
    if (!p)
        return false;
    p->link.ops = &pace_ops;
    p->below = c->link;
    p->conn = c;
    p->wanted = link_wanted(c->link, &c->io);
    ev_timer_init(&p->out.refill, on_refill_out, 0., 0.);
    ev_timer_init(&p->in.refill, on_refill_in, 0., 0.);
    c->link = &p->link;
    return true;
}
