/* worker/conn.c */
#include "shm/clients.h"
#include "worker/ahead.h"
#include "worker/client_limit.h"
#include "worker/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "worker/h2.h"
#include "worker/handover.h"
#include "worker/link.h"
#include "worker/pace.h"
#include "worker/peer.h"
#include "worker/preface.h"
#include "worker/proto_http1.h"
#include "worker/proxy_out.h"
#include "worker/relay.h"
#include "worker/tls.h"
#include "worker/tunnel.h"
#include "worker/tail.h"
#include "worker/txn.h"
#include "worker/txn_start.h"
#include "worker/udp.h"
#include "worker/worker_int.h"

#define LINGER_MS 2000u /* how long a half-closed client may go on sending */

static void on_client_io(struct ev_loop *loop, struct ev_io *io, int revents);
static void on_deadline(struct ev_loop *loop, struct ev_timer *timer, int revents);

static void list_add(struct worker *w, struct conn *c)
{
    c->prev = NULL;
    c->next = w->conns;
    if (w->conns)
        w->conns->prev = c;
    w->conns = c;
    w->conn_count++;
}

static void list_remove(struct worker *w, struct conn *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        w->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    w->conn_count--;
}

static struct conn *new_conn(struct worker *w, int fd, const struct conf_listener *listener,
                             uint32_t bind_id)
{
    struct conn *c = slab_get(&w->conn_slab);
    if (!c)
        return NULL;
    memset(c, 0, sizeof *c);
    MAGIC_SET(c, CONN_MAGIC);
    c->worker = w;
    c->listener_row = listener->row;
    c->bind_id = bind_id;
    c->protocol = (uint8_t)listener->protocol;
    ev_io_init(&c->io, on_client_io, fd, EV_READ);
    ev_timer_init(&c->timer, on_deadline, 0., 0.);
    list_add(w, c);
    count_add(&worker_lcell(w, listener->row)->active, 1);
    return c;
}

/* Counted, not begun. NULL: no memory, or no such listener; the place is given back. */
static struct conn *make(struct worker *w, int fd, const struct acceptor *a,
                         const struct net_addr *from)
{
    uint32_t listener_row = a->listener_row;
    const struct conf_listener *listener = w->gen->by_row[listener_row];
    struct conn *c = listener ? new_conn(w, fd, listener, a->bind_id) : NULL;
    if (!c) {
        listener_client_release(w->table, listener_row, w->slot);
        slot_client_release(w->table, w->slot);
        return NULL;
    }
    peer_from_addr(&c->peer, from);
    count_add(&worker_lcell(w, listener_row)->accepted, 1);
    count_add(&w->table->slots[w->slot].accepted, 1);
    return c;
}

struct conn *conn_open_session(struct worker *w, const struct acceptor *a,
                               const struct net_addr *from, struct link *link)
{
    struct conn *c = make(w, -1, a, from);
    if (c)
        c->link = link;
    return c;
}

void conn_open(struct worker *w, int fd, const struct acceptor *a, const struct net_addr *from)
{
    struct conn *c = make(w, fd, a, from);
    if (!c) {
        close(fd);
        return;
    }
    const struct conf_listener *listener = conn_listener(c);
    ev_io_start(w->loop, &c->io);
    if (listener->proxy_protocol)
        preface_begin(c, listener);
    else
        conn_begin(c, listener);
}

struct conn *conn_take_over(struct worker *w, int fd, const struct conf_listener *listener,
                            uint32_t bind_id)
{
    struct conn *c = new_conn(w, fd, listener, bind_id);
    if (!c)
        return NULL;
    slot_client_take_over(w->table, w->slot);
    listener_client_take_over(w->table, listener->row, w->slot);
    c->state = CONN_IDLE;
    return c;
}

struct conn *conn_open_stream(struct conn *of, struct link *link)
{
    struct worker *w = of->worker;
    const struct conf_listener *listener = conn_listener(of);
    struct conn *c = listener ? slab_get(&w->conn_slab) : NULL;
    if (!c)
        return NULL;
    memset(c, 0, sizeof *c);
    MAGIC_SET(c, CONN_MAGIC);
    c->worker = w;
    c->is_stream = true;
    c->listener_row = of->listener_row;
    c->bind_id = of->bind_id;
    c->protocol = of->protocol;
    c->secure = of->secure;
    c->draining = of->draining;
    c->identity = of->identity;
    c->tls_version = of->tls_version;
    c->peer = of->peer;
    c->dest = of->dest;
    c->link = link;
    c->gen = of->gen;
    if (c->gen) {
        gen_ref(c->gen);
        w->moved_count++;
    }
    ev_io_init(&c->io, on_client_io, -1, EV_READ);
    ev_timer_init(&c->timer, on_deadline, 0., 0.);
    conn_deadline(c, listener->timeouts.header_ms);
    return c;
}

void conn_begin(struct conn *c, const struct conf_listener *listener)
{
    c->state = CONN_IDLE;
    if (listener->limits.connections_per_client && !client_limit_admit(c, listener))
        conn_close(c, "too many connections of this client");
    else if (listener->protocol == CONF_TCP && listener->sni)
        preface_hello_begin(c, listener);
    else if (!listener->tls)
        conn_serve(c, listener);
    else if (tls_accept(c, listener))
        conn_deadline(c, listener->timeouts.header_ms);
    else
        conn_close(c, "out of memory");
}

void conn_serve(struct conn *c, const struct conf_listener *listener)
{
    if (UNLIKELY(pace_asked(listener)) && !pace_begin(c)) {
        conn_close(c, "out of memory");
        return;
    }
    if (listener->protocol == CONF_TCP)
        txn_start_tcp(c, listener->pool);
    else
        conn_deadline(c, listener->timeouts.header_ms);
}

static void give_place_back(struct conn *c)
{
    if (c->client_cell)
        clients_give(c->worker->table, c->worker->slot, c->client_cell - 1);
    struct worker *w = c->worker;
    list_remove(w, c);
    count_sub(&worker_lcell(w, c->listener_row)->active, 1);
    listener_client_release(w->table, c->listener_row, w->slot);
    slot_client_release(w->table, w->slot);
}

static void forget(struct conn *c, bool reset)
{
    struct worker *w = c->worker;
    ev_timer_stop(w->loop, &c->timer);
    batch_settle(conn_fd(c));
    link_end(c->link, w->loop, &c->io, reset);
    if (conn_fd(c) != -1)
        close(conn_fd(c));
    c->link = NULL;
    free(c->tail);
    c->tail = NULL;
    buf_put(&w->bufs, c->in);
    c->in = NULL;
    http1_release_head(c);
    if (!c->is_stream)
        give_place_back(c);
    if (c->gen) {
        gen_unref(w, c->gen);
        c->gen = NULL;
        w->moved_count--;
    }
    worker_retire_conn(w, c);
}

static void end(struct conn *c, const char *reason, bool reset)
{
    if (c->state == CONN_CLOSED)
        return;
    c->state = CONN_CLOSED;
    if (c->txn)
        txn_drop(c->txn, reason);
    if (c->kept)
        proxy_out_drop(c->kept);
    if (c->h2)
        h2_end(c);
    log_debug("connection closed fd=%d requests=%u reason=\"%s\"", conn_fd(c), c->served, reason);
    forget(c, reset);
}

void conn_give_up(struct conn *c)
{
    c->state = CONN_CLOSED;
    if (c->txn)
        txn_give_up(c->txn);
    forget(c, false);
}

void conn_close(struct conn *c, const char *reason)
{
    end(c, reason, false);
}

void conn_reset(struct conn *c, const char *reason)
{
    end(c, reason, true);
}

void conn_want(struct conn *c, int events)
{
    if (c->eof)
        events &= ~EV_READ; /* it would be readable for ever */
    link_watch(c->link, c->worker->loop, &c->io, events);
}

static void arm(struct conn *c, uint64_t at_us)
{
    struct worker *w = c->worker;
    double after = at_us > w->now_us ? (double)(at_us - w->now_us) / 1e6 : 0.;
    ev_timer_stop(w->loop, &c->timer);
    ev_timer_set(&c->timer, after, 0.);
    ev_timer_start(w->loop, &c->timer);
    c->timer_us = at_us;
}

void conn_deadline(struct conn *c, uint32_t ms)
{
    c->deadline_us = c->worker->now_us + (uint64_t)ms * 1000;
    /* A timer that fires too early only looks again; so a moving deadline costs nothing per
     * request. */
    if (!ev_is_active(&c->timer) || c->deadline_us < c->timer_us)
        arm(c, c->deadline_us);
}

static void on_timeout(struct conn *c)
{
    switch ((enum conn_state)c->state) {
    case CONN_BUSY: txn_on_timeout(c->txn); break;
    case CONN_HEAD: http1_head_timeout(c); break;
    case CONN_IDLE: conn_close(c, "idle timeout"); break;
    case CONN_PROXY:
    case CONN_HELLO: preface_timeout(c); break;
    case CONN_LINGER: conn_close(c, "linger timeout"); break;
    case CONN_TAIL: conn_reset(c, "client does not read"); break;
    case CONN_H2: h2_timeout(c); break;
    case CONN_HANDED:
    case CONN_CLOSED: break;
    }
    conn_continue(c);
}

static void on_deadline(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)loop, (void)revents;
    struct conn *c = CONTAINER_OF(timer, struct conn, timer);
    MAGIC_CHECK(c, CONN_MAGIC);
    batch_settle(conn_fd(c));
    if (c->worker->now_us + 500 < c->deadline_us)
        arm(c, c->deadline_us);
    else
        on_timeout(c);
}

void conn_linger(struct conn *c)
{
    if (c->is_stream) {
        conn_close(c, "answered");
        return;
    }
    batch_settle(conn_fd(c));
    if (c->state == CONN_TAIL)
        return; /* until that has gone */
    if (c->eof || link_shut(c->link, conn_fd(c)) == -1) {
        conn_close(c, c->eof ? "closed after answer" : "client gone");
        return;
    }
    c->state = CONN_LINGER;
    buf_put(&c->worker->bufs, c->in);
    c->in = NULL;
    conn_want(c, EV_READ);
    conn_deadline(c, LINGER_MS);
}

static void linger_readable(struct conn *c)
{
    static char sink[16384];
    ssize_t n = recv(conn_fd(c), sink, sizeof sink, 0);
    if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
        conn_close(c, "closed after answer");
}

void conn_to_idle(struct conn *c)
{
    const struct conf_listener *listener = conn_listener(c);
    if (c->in && buf_len(c->in) == 0) {
        buf_put(&c->worker->bufs, c->in);
        c->in = NULL;
    }
    if (!listener || c->is_stream || (c->eof && !c->in)) {
        conn_linger(c);
        return;
    }
    c->state = CONN_IDLE;
    conn_want(c, EV_READ);
    conn_deadline(c, conn_must_go(c) ? DRAIN_IDLE_MS : listener->timeouts.idle_ms);
    if (UNLIKELY(c->worker->handover != NULL))
        handover_offer(c);
}

void conn_continue(struct conn *c)
{
    while (c->state == CONN_IDLE && c->in && buf_len(c->in) > 0)
        http1_process(c);
}

static void readable(struct conn *c)
{
    switch ((enum conn_state)c->state) {
    case CONN_IDLE:
    case CONN_HEAD: http1_readable(c); break;
    case CONN_PROXY: preface_readable(c); break;
    case CONN_HELLO: preface_hello_readable(c); break;
    case CONN_BUSY:
        if (c->txn->state == TXN_TUNNEL)
            tunnel_client_readable(c->txn);
        else
            relay_request_readable(c->txn);
        break;
    case CONN_LINGER: linger_readable(c); break;
    case CONN_H2: h2_readable(c); break;
    case CONN_TAIL: /* nothing is read before that has gone */
    case CONN_HANDED:
    case CONN_CLOSED: break;
    }
}

static void writable(struct conn *c)
{
    if (c->state == CONN_H2)
        h2_writable(c);
    if (c->state == CONN_TAIL)
        tail_push(c);
    if (c->state != CONN_BUSY)
        return;
    if (c->txn->state == TXN_TUNNEL)
        tunnel_pump(c->txn);
    else
        relay_response_push(c->txn);
}

/* A tunnel knows itself what it holds. */
static bool in_tunnel(const struct conn *c)
{
    return c->txn && c->txn->state == TXN_TUNNEL;
}

void conn_event(struct conn *c, int revents)
{
    if (!in_tunnel(c))
        batch_settle(conn_fd(c));
    if (c->link)
        revents = c->link->ops->ready(c->link, revents);
    if (revents & EV_WRITE)
        writable(c);
    if (revents & EV_READ)
        readable(c);
    conn_continue(c);
}

static void on_client_io(struct ev_loop *loop, struct ev_io *io, int revents)
{
    (void)loop;
    struct conn *c = CONTAINER_OF(io, struct conn, io);
    MAGIC_CHECK(c, CONN_MAGIC);
    if (revents != EV_READ || !ahead_conn(c))
        conn_event(c, revents);
}

void conn_drain_all(struct worker *w)
{
    for (struct conn *c = w->conns, *next; c; c = next) {
        next = c->next;
        if (handover_keeps(c))
            continue;
        c->draining = true;
        if (c->protocol == CONF_UDP)
            udp_drain(c);
        else if (c->state == CONN_IDLE)
            conn_deadline(c, DRAIN_IDLE_MS);
        else if (c->state == CONN_H2)
            h2_drain(c);
    }
}
