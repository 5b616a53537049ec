/* worker/handover.c: the one who leaves. */
#include "worker/handover_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/log.h"
#include "conf/route.h"
#include "proc/control.h"
#include "worker/batch.h"
#include "worker/conn.h"
#include "worker/proxy_out.h"
#include "worker/splice.h"
#include "worker/tunnel.h"
#include "worker/upstream.h"

#define GIVER_MAGIC 0x61FE5001u
#define SENT_MAX    64u /* unanswered: their answers fit in the channel, and few descriptors fly */

struct handover {
    uint32_t magic;
    struct worker *worker;
    struct ev_io io;
    struct conn *sent[SENT_MAX]; /* a ring, oldest first: answers come in this order */
    uint64_t first, next;        /* ids */
    uint32_t given, refused;
};

/* ---- which ---- */

static bool is_tunnel(const struct conn *c)
{
    const struct txn *t = c->txn;
    return c->state == CONN_BUSY && t->state == TXN_TUNNEL && !t->wait && t->up && !t->up->link &&
           !t->up->h2 && upstream_fd(t->up) != -1 && t->ticket == BREAKER_NO_TICKET;
}

static bool fits(const struct conn *c)
{
    batch_settle(conn_fd(c));
    if (c->link || c->gen || c->staying)
        return false;
    if (c->state == CONN_IDLE || c->state == CONN_HEAD)
        return c->protocol == CONF_HTTP && !c->eof;
    if (!c->txn)
        return false;
    tunnel_settle(c->txn);
    return is_tunnel(c) && !c->txn->torn;
}

/* ---- the record ---- */

static void put_pipe(struct handover_pipe *out, const struct pipe *p, int *fds, uint32_t *count)
{
    if (!p)
        return;
    *out = (struct handover_pipe){p->bytes, p->cap};
    fds[(*count)++] = p->read_fd;
    fds[(*count)++] = p->write_fd;
}

uint32_t handover_note_bytes(const struct access_note *n)
{
    return (uint32_t)offsetof(struct access_note, parts.text) + access_format_bytes(&n->parts);
}

static uint32_t route_of(const struct txn *t)
{
    bool own = t->route && t->route != t->listener->fallback && t->gen == t->worker->gen;
    return own ? t->route->index : INDEX_NONE;
}

static void describe_tunnel(const struct txn *t, struct handover_tunnel *h, int *fds,
                            uint32_t *count)
{
    const struct entry *e = entry_at(t->worker->table, t->entry);
    *h = (struct handover_tunnel){
        .entry = t->entry,
        .incarnation = word_get(&e->incarnation),
        .route = route_of(t),
        .started_us = t->started_us,
        .sent_us = t->sent_us,
        .bytes_in = t->bytes_in,
        .bytes_out = t->bytes_out,
        .status = t->status,
        .attempts = t->attempts,
        .bulk_in = t->bulk_in,
        .bulk_out = t->bulk_out,
        .client_eof = t->client_eof,
        .up_eof = t->up_eof,
        .client_shut = t->client_shut,
        .up_shut = t->up_shut,
        .send_broken = t->send_broken,
        .to_client_bytes = t->rbuf ? buf_len(t->rbuf) : 0,
        .note_bytes = t->note ? handover_note_bytes(t->note) : 0,
    };
    snprintf(h->pool, sizeof h->pool, "%s", t->pool->conf->name);
    snprintf(h->backend, sizeof h->backend, "%s", e->name);
    fds[(*count)++] = upstream_fd(t->up);
    put_pipe(&h->to_client, t->to_client, fds, count);
    put_pipe(&h->to_backend, t->to_backend, fds, count);
}

static void describe(const struct conn *c, uint64_t id, struct handover_record *r, int *fds,
                     uint32_t *count)
{
    *r = (struct handover_record){
        .magic = HANDOVER_MAGIC,
        .version = HANDOVER_VERSION,
        .record_bytes = sizeof *r,
        .bind_id = c->bind_id,
        .id = id,
        .table = c->worker->table->header->key.k0,
        .deadline_us = c->deadline_us,
        .served = c->served,
        .in_bytes = c->in ? buf_len(c->in) : 0,
        .peer = c->peer,
        .dest = c->dest,
        .protocol = c->protocol,
        .eof = c->eof,
        .limited = c->client_cell != 0,
        .has_tunnel = c->txn != NULL,
    };
    fds[(*count)++] = conn_fd(c);
    if (c->txn)
        describe_tunnel(c->txn, &r->tunnel, fds, count);
}

static int send_record(const struct handover *h, struct conn *c, struct handover_record *r,
                       const int *fds, uint32_t count)
{
    struct iovec parts[4] = {{r, sizeof *r}};
    size_t n = 1;
    if (r->in_bytes)
        parts[n++] = (struct iovec){buf_at(c->in), r->in_bytes};
    if (r->tunnel.to_client_bytes)
        parts[n++] = (struct iovec){buf_at(c->txn->rbuf), r->tunnel.to_client_bytes};
    if (r->tunnel.note_bytes)
        parts[n++] = (struct iovec){c->txn->note, r->tunnel.note_bytes};
    return ctl_send_parts(h->io.fd, parts, n, fds, count);
}

/* ---- passing ---- */

static bool is_full(const struct handover *h)
{
    return h->next - h->first == SENT_MAX;
}

/* Nobody reads it here any more. */
static void let_rest(struct handover *h, struct conn *c)
{
    struct worker *w = c->worker;
    ev_io_stop(w->loop, &c->io);
    ev_timer_stop(w->loop, &c->timer);
    if (c->txn)
        ev_io_stop(w->loop, &c->txn->up->io);
    if (c->kept)
        proxy_out_drop(c->kept);
    c->state = CONN_HANDED;
    h->sent[h->next++ % SENT_MAX] = c;
}

/* False: it must wait, as must those after it. */
static bool pass(struct handover *h, struct conn *c)
{
    struct handover_record r;
    int fds[CTL_FDS];
    uint32_t count = 0;
    if (is_full(h))
        return false;
    describe(c, h->next, &r, fds, &count);
    if (send_record(h, c, &r, fds, count) == 0) {
        let_rest(h, c);
        return true;
    }
    if (h->first != h->next && (errno == EAGAIN || errno == ETOOMANYREFS))
        return false; /* an answer comes, and then there is room */
    c->staying = true;
    return true;
}

void handover_offer(struct conn *c)
{
    struct worker *w = c->worker;
    if (w->handover && w->draining && fits(c))
        (void)pass(w->handover, c);
}

void handover_all(struct worker *w)
{
    for (struct conn *c = w->conns, *next; c && w->handover; c = next) {
        next = c->next;
        if (fits(c) && !pass(w->handover, c))
            return;
    }
}

/* ---- answers ---- */

static void take_back(struct conn *c)
{
    c->staying = true;
    if (c->txn) {
        c->state = CONN_BUSY;
        tunnel_pump(c->txn);
    } else {
        c->draining = true;
        conn_to_idle(c);
        conn_continue(c);
    }
}

static void on_answer(struct handover *h, const struct handover_answer *a)
{
    struct conn *c = h->sent[h->first++ % SENT_MAX];
    if (!a->taken) {
        h->refused++;
        take_back(c);
        return;
    }
    h->given++;
    conn_give_up(c);
    ev_loop_fork(h->worker->loop); /* the kernel would go on telling us about their sockets */
}

/* The channel is closed, or of no use: what is left is told to go. */
static void stop(struct handover *h, const char *why)
{
    struct worker *w = h->worker;
    log_info("connections handed over: %u, stayed: %u; %s", h->given,
             h->refused + (uint32_t)(h->next - h->first), why);
    w->handover = NULL;
    while (h->first < h->next)
        take_back(h->sent[h->first++ % SENT_MAX]);
    ev_io_stop(w->loop, &h->io);
    close(h->io.fd);
    MAGIC_CLEAR(h);
    free(h);
    if (w->draining)
        conn_drain_all(w);
}

/* 1: an answer; 0: none now; -1: no more will come. */
static int read_answer(struct handover *h, struct handover_answer *a)
{
    int fds[CTL_FDS];
    uint32_t count;
    ssize_t n;
    do /* what was said before the end is still there */
        n = ctl_recv_bytes(h->io.fd, a, sizeof *a, fds, &count);
    while (n == -1 && errno == ECONNRESET);
    if (n == -1)
        return errno == EAGAIN ? 0 : -1;
    ctl_close_fds(fds, count);
    return n == sizeof *a && h->first < h->next && a->id == h->first ? 1 : -1;
}

static void on_channel(struct ev_loop *loop UNUSED, struct ev_io *io, int revents UNUSED)
{
    struct handover *h = CONTAINER_OF(io, struct handover, io);
    MAGIC_CHECK(h, GIVER_MAGIC);
    struct worker *w = h->worker;
    struct handover_answer a;
    int got;
    while ((got = read_answer(h, &a)) == 1)
        on_answer(h, &a);
    if (got == -1)
        stop(h, "the heir takes no more");
    else
        handover_all(w);
}

void handover_begin(struct worker *w, int fd)
{
    struct handover *h = w->handover ? NULL : calloc(1, sizeof *h);
    if (!h) { /* there is an heir already, or no memory */
        close(fd);
        return;
    }
    MAGIC_SET(h, GIVER_MAGIC);
    h->worker = w;
    h->first = h->next = 1;
    ev_io_init(&h->io, on_channel, fd, EV_READ);
    ev_io_start(w->loop, &h->io);
    w->handover = h;
    if (w->draining)
        handover_all(w);
}
