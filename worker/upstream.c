/* worker/upstream.c */
#include "worker/upstream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/net.h"
#include "worker/ahead.h"
#include "worker/conn.h"
#include "worker/dispatch.h"
#include "worker/h2_backend.h"
#include "worker/link.h"
#include "worker/proxy_out.h"
#include "worker/relay.h"
#include "worker/side.h"
#include "worker/tls.h"
#include "worker/tunnel.h"
#include "worker/txn.h"
#include "worker/upool.h"
#include "worker/worker_int.h"

static void on_upstream_io(struct ev_loop *loop, struct ev_io *io, int revents);

void upstream_want(struct upstream *u, int events)
{
    link_watch(u->link, u->worker->loop, &u->io, events);
}

static void end(struct upstream *u, bool reset)
{
    batch_settle(u->io.fd);
    link_end(u->link, u->worker->loop, &u->io, reset);
    if (u->io.fd != -1)
        close(u->io.fd);
    u->link = NULL;
    u->dead = true;
    u->txn = NULL;
    worker_retire_upstream(u->worker, u);
}

void upstream_close(struct upstream *u)
{
    end(u, false);
}

void upstream_reset(struct txn *t)
{
    struct upstream *u = t->up;
    t->up = NULL;
    end(u, true);
}

void upstream_detach(struct txn *t, bool keep)
{
    struct upstream *u = t->up;
    if (!u)
        return;
    t->up = NULL;
    u->txn = NULL;
    uint32_t most = t->pool->conf->keepalive_requests;
    keep = keep && (most == 0 || u->served < most);
    if (u->io.fd == -1)
        upstream_close(u);
    else if (keep && t->pool->conf->proxy_protocol)
        proxy_out_keep(t, u);
    else if (keep)
        upool_put(u, t->pool->conf);
    else
        upstream_close(u);
}

struct upstream *upstream_new(struct txn *t, int fd)
{
    struct worker *w = t->worker;
    const struct entry *e = entry_at(w->table, t->entry);
    struct upstream *u = slab_get(&w->upstream_slab);
    if (!u)
        return NULL;
    memset(u, 0, sizeof *u);
    MAGIC_SET(u, UPSTREAM_MAGIC);
    u->worker = w;
    u->entry = t->entry;
    u->incarnation = word_get(&e->incarnation);
    u->pool_row = t->pool->conf->row;
    u->connecting = true;
    ev_io_init(&u->io, on_upstream_io, fd, EV_WRITE);
    return u;
}

struct upstream *upstream_open(struct txn *t)
{
    int fd = net_connect(&entry_at(t->worker->table, t->entry)->addr);
    struct upstream *u = fd != -1 ? upstream_new(t, fd) : NULL;
    if (!u) {
        if (fd != -1)
            close(fd);
        return NULL;
    }
    net_set_nodelay(fd);
    ev_io_start(t->worker->loop, &u->io);
    return u;
}

/* One that was used before; NULL: none. */
static struct upstream *take_kept(struct txn *t)
{
    uint32_t incarnation = word_get(&entry_at(t->worker->table, t->entry)->incarnation);
    bool verify = !t->req_idempotent || !t->req_replayable;
    if (t->fresh_only || t->conn->protocol != CONF_HTTP)
        return NULL;
    return t->pool->conf->proxy_protocol ? proxy_out_take(t, incarnation, verify)
                                         : upool_take(t->worker, t->entry, incarnation, verify);
}

int upstream_attach(struct txn *t)
{
    bool multiplexed = t->pool->conf->protocol != CONF_TO_HTTP1 && t->conn->protocol == CONF_HTTP;
    struct upstream *u = multiplexed ? h2_backend_attach(t) : take_kept(t);
    if (!u && !multiplexed)
        u = upstream_open(t);
    if (!u)
        return -1;
    u->txn = t;
    u->served++;
    t->up = u;
    return 0;
}

static void on_connected(struct upstream *u)
{
    int error = net_connect_result(u->io.fd);
    if (error == 0 && u->txn->pool->conf->proxy_protocol)
        error = proxy_out_announce(u->txn);
    if (error != 0) {
        txn_connect_failed(u->txn, error);
        return;
    }
    if (!u->txn->pool->conf->tls)
        upstream_ready(u);
    else if (tls_connect(u, u->txn->gen, u->txn->pool->conf, u->txn->conn->protocol == CONF_HTTP))
        (void)u->link->ops->ready(u->link, 0); /* the first flight */
    else
        txn_connect_failed(u->txn, ENOMEM);
}

void upstream_ready(struct upstream *u)
{
    if (u->h2) {
        h2_backend_ready(u->h2);
        return;
    }
    if (u->side) {
        side_ready(u->side);
        return;
    }
    u->connecting = false;
    txn_connected(u->txn);
}

static void on_exchange(struct upstream *u, int revents)
{
    struct txn *t = u->txn;
    if (t->state == TXN_TUNNEL) {
        if (revents & EV_READ)
            tunnel_upstream_readable(t);
        else
            tunnel_pump(t);
        return;
    }
    if (revents & EV_WRITE)
        relay_request_push(t);
    if ((revents & EV_READ) && !u->dead && u->txn == t)
        relay_response_readable(t);
}

static void on_upstream_io(struct ev_loop *loop, struct ev_io *io, int revents)
{
    (void)loop;
    struct upstream *u = CONTAINER_OF(io, struct upstream, io);
    MAGIC_CHECK(u, UPSTREAM_MAGIC);
    if (revents != EV_READ || !ahead_upstream(u))
        upstream_event(u, revents);
}

void upstream_event(struct upstream *u, int revents)
{
    if (u->h2) {
        h2_backend_io(u, revents);
        return;
    }
    if (!u->txn) { /* an idle connection has nothing to say: closed, or out of step */
        if (u->link && link_alive(u->link, u->io.fd))
            return;
        if (u->keeper)
            proxy_out_drop(u);
        else
            upool_drop(u);
        return;
    }
    struct conn *c = u->txn->conn;
    if (u->link && !(revents = u->link->ops->ready(u->link, revents))) {
        conn_continue(c);
        return;
    }
    if (u->connecting)
        on_connected(u);
    else
        on_exchange(u, revents);
    conn_continue(c);
}
