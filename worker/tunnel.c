/* worker/tunnel.c */
#include "worker/tunnel.h"

#include <errno.h>
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/handover.h"
#include "worker/link.h"
#include "worker/splice.h"
#include "worker/txn.h"
#include "worker/upstream.h"

/* A read of this much makes it worth to move what follows by a pipe; one of less than that ends it.
 */
#define BULK_BYTES (32u * 1024)

static int flush_pipe(struct txn *t, struct pipe **at, bool to_client)
{
    int fd = to_client ? conn_fd(t->conn) : upstream_fd(t->up);
    while (*at) {
        ssize_t n = splice_drain(t->worker, at, fd, false);
        if (n == -1)
            return errno == EAGAIN ? 0 : -1;
        if (to_client)
            account_client_out(t, (uint64_t)n);
        else
            account_backend_out(t, (uint64_t)n);
    }
    return 1;
}

/* Sends what waits. Returns 1 nothing waits any more, 0 blocked, -1 the receiver is gone. */
static int flush(struct txn *t, struct buf **at, bool to_client)
{
    struct pipe **spliced = to_client ? &t->to_client : &t->to_backend;
    int piped = *spliced ? flush_pipe(t, spliced, to_client) : 1;
    if (piped != 1)
        return piped;
    while (*at && buf_len(*at) > 0) {
        ssize_t n =
            to_client ? conn_send(t->conn, *at, NULL, 0) : upstream_send(t->up, *at, NULL, 0);
        if (n == -1)
            return errno == EAGAIN ? 0 : -1;
        if (to_client)
            account_client_out(t, (uint64_t)n);
        else
            account_backend_out(t, (uint64_t)n);
    }
    buf_put(&t->worker->bufs, *at);
    *at = NULL;
    return 1;
}

/* One side is gone: the other is told in the same way, not by a clean end. */
static void cut(struct txn *t, const char *why)
{
    tunnel_settle(t);
    upstream_reset(t);
    conn_reset(t->conn, why);
}

/* The backend takes no more, but what it said before is still to be read; its end follows. */
static void stop_sending(struct txn *t)
{
    t->send_broken = true;
    t->client_eof = t->up_shut = true;
    splice_drop(t->worker, &t->to_backend);
    buf_put(&t->worker->bufs, t->conn->in);
    t->conn->in = NULL;
}

static void pass_fin(struct link *l, int fd, bool eof, bool *shut)
{
    if (!eof || *shut)
        return;
    *shut = true;
    if (link_shut(l, fd) == -1)
        return; /* the peer is gone already: its own watcher says so */
}

void tunnel_watch(struct txn *t)
{
    bool to_backend = t->conn->in || t->to_backend, to_client = t->rbuf || t->to_client;
    conn_want(t->conn, (!t->client_eof && !to_backend ? EV_READ : 0) | (to_client ? EV_WRITE : 0));
    upstream_want(t->up, (!t->up_eof && !to_client ? EV_READ : 0) | (to_backend ? EV_WRITE : 0));
    txn_arm(t);
}

void tunnel_pump(struct txn *t)
{
    if (UNLIKELY(t->torn)) {
        cut(t, "out of memory");
        return;
    }
    int backend = flush(t, &t->conn->in, false);
    int client = flush(t, &t->rbuf, true);
    if (client == -1) {
        cut(t, "client reset");
        return;
    }
    if (backend == -1)
        stop_sending(t);
    if (t->send_broken && t->up_eof && client == 1) {
        cut(t, "backend reset");
        return;
    }
    if (backend == 1)
        pass_fin(t->up->link, upstream_fd(t->up), t->client_eof, &t->up_shut);
    if (client == 1)
        pass_fin(t->conn->link, conn_fd(t->conn), t->up_eof, &t->client_shut);
    if (t->up_shut && t->client_shut) {
        conn_close(t->conn, "finished");
        return;
    }
    tunnel_watch(t);
}

/* Reads into *at. False: the tunnel ended. */
static bool fill(struct txn *t, bool from_client, struct buf **at, bool *eof, uint64_t *got)
{
    *got = 0;
    if (!*at && !(*at = buf_get(&t->worker->bufs, true))) {
        conn_close(t->conn, "out of memory");
        return false;
    }
    if (buf_room(*at) == 0)
        return true;
    ssize_t n = from_client ? conn_recv(t->conn, *at) : upstream_recv(t->up, *at);
    if (n == -1 && errno != EAGAIN) {
        cut(t, from_client ? "client reset" : "backend reset");
        return false;
    }
    if (n == 0)
        *eof = true;
    if (n > 0)
        *got = (uint64_t)n;
    return true;
}

/* Much came at once before: moves what there is by a pipe. False: it is to be copied. */
static bool fill_pipe(struct txn *t, bool from_client, bool *bulk, bool *eof, uint64_t *got)
{
    struct pipe **at = from_client ? &t->to_backend : &t->to_client;
    const struct buf *buffered = from_client ? t->conn->in : t->rbuf;
    *got = 0;
    if (*at || buffered) /* it must go first */
        return *at != NULL;
    ssize_t n =
        splice_fill(t->worker, at, from_client ? conn_fd(t->conn) : upstream_fd(t->up), UINT32_MAX);
    if (n == 0)
        *eof = true;
    if (n > 0)
        *got = (uint64_t)n;
    if (n < (ssize_t)BULK_BYTES)
        *bulk = false;
    return n >= 0;
}

static bool receive(struct txn *t, bool from_client, uint64_t *n)
{
    bool *bulk = from_client ? &t->bulk_in : &t->bulk_out;
    bool *eof = from_client ? &t->client_eof : &t->up_eof;
    if (*bulk && fill_pipe(t, from_client, bulk, eof, n))
        return true;
    if (!fill(t, from_client, from_client ? &t->conn->in : &t->rbuf, eof, n))
        return false;
    *bulk = *n >= BULK_BYTES && !t->conn->link && !t->up->link;
    return true;
}

static bool is_empty(const struct buf *b)
{
    return !b || buf_len(b) == 0;
}

void tunnel_client_readable(struct txn *t)
{
    uint64_t n = 0;
    if (UNLIKELY(t->held_in))
        tunnel_settle(t);
    bool first = is_empty(t->conn->in);
    if (!receive(t, true, &n))
        return;
    t->small_in = n > 0 && n <= BATCH_MESSAGE_BYTES;
    account_client_in(t, n);
    if (!first || n == 0 || !tunnel_held(t, false))
        tunnel_pump(t);
}

void tunnel_upstream_readable(struct txn *t)
{
    uint64_t n = 0;
    if (UNLIKELY(t->held_out))
        tunnel_settle(t);
    bool first = is_empty(t->rbuf);
    if (!receive(t, false, &n))
        return;
    t->small_out = n > 0 && n <= BATCH_MESSAGE_BYTES;
    account_backend_in(t, n);
    if (!first || n == 0 || !tunnel_held(t, true))
        tunnel_pump(t);
}

void tunnel_start(struct txn *t)
{
    txn_set_state(t, TXN_TUNNEL);
    buf_put(&t->worker->bufs, t->up_head);
    t->up_head = NULL;
    t->req_ready = 0;
    t->res_ready = 0;
    t->client_eof = t->conn->eof;
    struct conn *c = t->conn;
    tunnel_pump(t);
    if (UNLIKELY(c->worker->handover != NULL))
        handover_offer(c);
}
