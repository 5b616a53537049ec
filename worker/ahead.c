/* worker/ahead.c */
#include "worker/ahead.h"

#include <errno.h>
#include <sys/socket.h>
#include "worker/batch.h"
#include "worker/conn.h"
#include "worker/link.h"
#include "worker/upstream.h"

#define MOST 64u /* then they go without waiting for the rest of the turn */

/* A client's connection, or a backend's and what it works for. */
struct waiting {
    struct conn *conn;
    struct upstream *upstream;
    struct txn *txn;
};

static struct ev_prepare later; /* fed when the first waits; it is never started */
static bool wanted_now;
static struct worker *owner; /* the one of this process */
static uint32_t count;
static struct waiting waiting[MOST];
static struct buf *received[MOST]; /* NULL: it receives itself */

static void on_later(struct ev_loop *loop, struct ev_prepare *watcher, int revents);

void ahead_use(struct worker *w, bool wanted)
{
    owner = w;
    wanted_now = wanted;
    if (count > 0)
        return;
    ev_prepare_init(&later, on_later);
    ev_set_priority(&later, -1); /* behind whatever became ready, before it is sent */
}

/* ---- who may wait ---- */

static bool conn_fits(const struct conn *c)
{
    if (c->in || !link_ahead(c->link))
        return false;
    if (c->state == CONN_IDLE) /* what it was answered in this turn leaves first */
        return c->protocol == CONF_HTTP && (batch_waiting == 0 || !batch_holds(conn_fd(c)));
    const struct txn *t = c->txn;
    return c->state == CONN_BUSY && t->state == TXN_TUNNEL && t->small_in && !t->to_backend &&
           !t->held_in;
}

static bool upstream_fits(const struct upstream *u)
{
    const struct txn *t = u->txn;
    if (!t || u->connecting || t->rbuf || !link_ahead(u->link))
        return false;
    if (t->state == TXN_EXCHANGE)
        return !t->res_head_done && !t->head_out;
    return t->state == TXN_TUNNEL && t->small_out && !t->to_client && !t->held_out;
}

static void serve(struct worker *w);

static bool let_wait(struct worker *w, struct waiting one)
{
    if (count == 0)
        ev_feed_event(w->loop, &later, EV_CUSTOM);
    waiting[count++] = one;
    if (count == MOST)
        serve(w);
    return true;
}

bool ahead_conn(struct conn *c)
{
    return wanted_now && conn_fits(c) && let_wait(c->worker, (struct waiting){.conn = c});
}

bool ahead_upstream(struct upstream *u)
{
    return wanted_now && upstream_fits(u) &&
           let_wait(u->worker, (struct waiting){.upstream = u, .txn = u->txn});
}

/* ---- their turn ---- */

static const struct ev_io *io_of(const struct waiting *one)
{
    return one->conn ? &one->conn->io : &one->upstream->io;
}

/* Where it receives; NULL: it is gone. */
static struct buf **place_of(const struct waiting *one)
{
    if (one->conn)
        return one->conn->state == CONN_CLOSED ? NULL : &one->conn->in;
    return one->upstream->dead || one->upstream->txn != one->txn ? NULL : &one->txn->rbuf;
}

/* Whoever was closed, given away or told to read no more meanwhile is not watched any more. */
static bool still_reads(const struct waiting *one)
{
    const struct ev_io *io = io_of(one);
    return place_of(one) && ev_is_active(io) && io->events & EV_READ;
}

static bool still_fits(const struct waiting *one)
{
    return still_reads(one) && (one->conn ? conn_fits(one->conn) : upstream_fits(one->upstream));
}

static void tell(const struct waiting *one)
{
    if (one->conn)
        conn_event(one->conn, EV_READ);
    else
        upstream_event(one->upstream, EV_READ);
}

static bool is_open(const struct waiting *one)
{
    return one->conn ? one->conn->state != CONN_CLOSED : !one->upstream->dead;
}

static bool left_behind(const struct waiting *one)
{
    struct buf **place = place_of(one);
    return place && *place && (*place)->ahead != BUF_NOTHING_AHEAD;
}

/* Bytes that nobody takes are never just missing: the connection ends. */
static void hand_out(struct worker *w, const struct waiting *one, struct buf *b)
{
    struct buf **place = place_of(one);
    bool lost = false;
    if (LIKELY(place && !*place)) {
        *place = b;
        tell(one);
    } else {
        lost = b->ahead != -EAGAIN;
        buf_put(&w->bufs, b);
    }
    if (UNLIKELY((lost || left_behind(one)) && is_open(one)))
        (void)shutdown(io_of(one)->fd, SHUT_RDWR);
}

static void receive_nothing(struct worker *w, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        buf_put(&w->bufs, received[i]);
        received[i] = NULL;
    }
}

/* For all that still want it. */
static void receive(struct worker *w, uint32_t n)
{
    struct batch_receipt receipts[MOST];
    uint32_t wanting = 0;
    for (uint32_t i = 0; i < n; i++) {
        received[i] = still_fits(&waiting[i]) ? buf_get(&w->bufs, false) : NULL;
        if (received[i])
            receipts[wanting++] = (struct batch_receipt){io_of(&waiting[i])->fd, received[i]};
    }
    if (wanting < 2 || !batch_receive(receipts, wanting))
        receive_nothing(w, n);
}

static void serve(struct worker *w)
{
    uint32_t n = count;
    count = 0;
    receive(w, n);
    for (uint32_t i = 0; i < n; i++)
        if (received[i])
            hand_out(w, &waiting[i], received[i]);
        else if (still_reads(&waiting[i]))
            tell(&waiting[i]);
}

static void on_later(struct ev_loop *loop, struct ev_prepare *watcher, int revents)
{
    (void)loop, (void)watcher, (void)revents;
    if (count > 0)
        serve(owner);
}
