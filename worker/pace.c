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

struct pace {
    struct link link;
    struct link *below; /* NULL: the socket */
    struct conn *conn;
    struct ev_timer refill;
    struct pace_clock clock;
    uint32_t due; /* of what was offered below and not taken: TLS wants to see it again */
};

static const struct link_ops pace_ops;

static struct pace *self(struct link *l)
{
    return CONTAINER_OF(l, struct pace, link);
}

/* 0: no limit, or no such listener any more. */
static uint64_t rate_of(const struct pace *p)
{
    const struct conf_listener *listener = conn_listener(p->conn);
    return listener ? listener->limits.bandwidth : 0;
}

static ssize_t pace_recv(struct link *l, struct buf *b)
{
    struct pace *p = self(l);
    return link_recv(p->below, conn_fd(p->conn), b);
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
    uint64_t rate = rate_of(p), now_us = p->conn->worker->now_us;
    uint64_t most = rate ? pace_allowed(&p->clock, rate, now_us) : UINT32_MAX;
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
        pace_charge(&p->clock, rate, sent);
    return n;
}

static int pace_shut(struct link *l)
{
    struct pace *p = self(l);
    return link_shut(p->below, conn_fd(p->conn));
}

static void on_refill(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)revents;
    struct pace *p = CONTAINER_OF(timer, struct pace, refill);
    ev_timer_stop(loop, timer);
    ev_feed_event(loop, &p->conn->io, EV_WRITE);
}

/* The socket's being writable is not waited for while nothing may be sent. */
static int hold_back(struct pace *p, int events)
{
    struct conn *c = p->conn;
    struct ev_loop *loop = c->worker->loop;
    uint64_t rate = rate_of(p);
    uint64_t us = rate && p->due == 0 ? pace_wait_us(&p->clock, rate, c->worker->now_us) : 0;
    if (us == 0 || !(events & EV_WRITE))
        return events;
    ev_io_stop(loop, &c->io);
    ev_io_modify(&c->io, events & ~EV_WRITE);
    if (events & ~EV_WRITE)
        ev_io_start(loop, &c->io);
    ev_timer_set(&p->refill, (double)us / SECOND_US, 0.);
    ev_timer_start(loop, &p->refill);
    return events & ~EV_WRITE;
}

static void pace_want(struct link *l, int events)
{
    struct pace *p = self(l);
    ev_timer_stop(p->conn->worker->loop, &p->refill);
    events = hold_back(p, events);
    if (p->below)
        p->below->ops->want(p->below, events);
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
    ev_timer_stop(p->conn->worker->loop, &p->refill);
    if (p->below)
        p->below->ops->end(p->below, reset);
    free(p);
}

static const struct link_ops pace_ops = {
    .recv = pace_recv,
    .send = pace_send,
    .shut = pace_shut,
    .want = pace_want,
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
    ev_timer_init(&p->refill, on_refill, 0., 0.);
    c->link = &p->link;
    return true;
}
