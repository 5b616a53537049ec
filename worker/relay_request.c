/* worker/relay_request.c: the client's bytes to the backend. */
#include <errno.h>
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/dispatch.h"
#include "worker/link.h"
#include "worker/mirror.h"
#include "worker/relay.h"
#include "worker/splice.h"
#include "worker/txn.h"
#include "worker/upstream.h"

/* How much of the requests behind this one is taken while it is at work. */
#define PIPELINED_BYTES (BUF_SMALL_BYTES / 2)

/* ---- what may be forwarded
 * ------------------------------------------------------------------------------------ */

static uint32_t untaken(const struct txn *t)
{
    return t->conn->in ? buf_len(t->conn->in) - t->req_ready : 0;
}

static void taken(struct txn *t, uint32_t n, uint32_t payload)
{
    t->req_ready += n;
    t->req_body_bytes += payload;
    account_client_in(t, n);
}

static void take_length(struct txn *t)
{
    uint32_t n = untaken(t);
    if (n > t->req_left)
        n = (uint32_t)t->req_left;
    t->req_left -= n;
    t->req_done = t->req_left == 0;
    taken(t, n, n);
}

static enum http1_result take_chunks(struct txn *t)
{
    for (uint32_t n = untaken(t); n > 0; n = untaken(t)) {
        uint32_t used = 0;
        struct http1_span payload;
        enum http1_result r = http1_chunked_step(
            &t->req_chunked, buf_at(t->conn->in) + t->req_ready, n, &used, &payload);
        if (r == HTTP1_ERROR)
            return r;
        taken(t, used, payload.len);
        if (r == HTTP1_DONE) {
            t->req_done = true;
            return r;
        }
        if (used == 0)
            break;
    }
    return HTTP1_MORE;
}

/* The request cannot go on: nothing more of it reaches the backend. */
static bool refuse_body(struct txn *t, unsigned status, const char *text)
{
    t->end = text;
    txn_fail(t, status, text);
    return false;
}

static bool take(struct txn *t)
{
    if (t->req_body == HTTP1_BODY_LENGTH) {
        take_length(t);
        return true;
    }
    if (take_chunks(t) == HTTP1_ERROR)
        return refuse_body(t, 400, "Malformed chunked body");
    uint64_t limit = t->listener->limits.body_bytes;
    if (limit && t->req_body_bytes > limit)
        return refuse_body(t, 413, "Request body too large");
    return true;
}

bool relay_request_take(struct txn *t)
{
    uint32_t had = t->req_ready;
    if (t->req_done)
        return true;
    if (!take(t))
        return false;
    if (UNLIKELY(t->mirror != NULL))
        mirror_more(t, had);
    return true;
}

/* ---- sending
 * --------------------------------------------------------------------------------------------------
 */

static uint32_t in_buffers(const struct txn *t)
{
    return (t->up_head ? buf_len(t->up_head) : 0) + t->req_ready;
}

void relay_request_keep(struct txn *t)
{
    struct buf *in = t->conn->in;
    if (!t->req_replayable || t->req_ready == 0)
        return;
    uint64_t most = t->req_done ? UINT32_MAX : t->req_keep_bytes;
    if (t->req_ready > buf_room(t->up_head) || t->req_body_bytes > most) {
        t->req_replayable = false;
        return;
    }
    buf_append(t->up_head, buf_at(in), t->req_ready);
    in->start += t->req_ready;
    t->req_ready = 0;
}

uint32_t relay_request_pending(const struct txn *t)
{
    return in_buffers(t) + splice_waiting(t->to_backend);
}

/* Gives back buffers that hold nothing. up_head stays while it may have to be sent again. */
static void release_empty(struct txn *t)
{
    struct conn *c = t->conn;
    if (t->up_head && buf_len(t->up_head) == 0 && !t->req_replayable) {
        buf_put(&t->worker->bufs, t->up_head);
        t->up_head = NULL;
    }
    if (c->in && buf_len(c->in) == 0) {
        buf_put(&t->worker->bufs, c->in);
        c->in = NULL;
    }
}

/* Before the request is complete: its bytes, as far as there is room. After: the client's end,
 * which may stand behind pipelined requests. */
static bool wants_client(const struct txn *t, bool blocked)
{
    const struct buf *in = t->conn->in;
    if (t->conn->eof || t->send_broken)
        return false;
    return t->req_done ? !in || buf_len(in) < PIPELINED_BYTES : !blocked;
}

static void set_watchers(struct txn *t, bool blocked)
{
    bool response_blocked = relay_response_pending(t) > 0;
    int client = (wants_client(t, blocked) ? EV_READ : 0) | (response_blocked ? EV_WRITE : 0);
    conn_want(t->conn, client);
    if (t->up)
        upstream_want(t->up, (response_blocked ? 0 : EV_READ) | (blocked ? EV_WRITE : 0));
    txn_arm(t);
}

static int send_spliced(struct txn *t)
{
    while (t->to_backend) {
        ssize_t n = splice_drain(t->worker, &t->to_backend, upstream_fd(t->up), t->req_left > 0);
        if (n == -1)
            return errno == EAGAIN ? 0 : -1;
        account_backend_out(t, (uint64_t)n);
    }
    return 1;
}

/* Returns 1 all sent, 0 blocked, -1 the backend takes no more. */
static int send_ready(struct txn *t)
{
    if (t->to_backend) /* then no buffer holds anything */
        return send_spliced(t);
    if (relay_request_batched(t))
        return 1;
    while (in_buffers(t) > 0) {
        uint32_t head = t->up_head ? buf_len(t->up_head) : 0;
        uint32_t offered = head + t->req_ready;
        ssize_t n = upstream_send(t->up, t->up_head, t->conn->in, t->req_ready);
        if (n == -1)
            return errno == EAGAIN ? 0 : -1;
        t->sent_any = true;
        account_backend_out(t, (uint64_t)n);
        if ((uint64_t)n > head)
            t->req_ready -= (uint32_t)n - head;
        if ((uint64_t)n < offered)
            return 0;
    }
    return 1;
}

void relay_request_push(struct txn *t)
{
    if (!t->up) { /* the response is complete and only waits for the client: what else comes is not
                     wanted now */
        conn_want(t->conn, relay_response_pending(t) > 0 ? EV_WRITE : 0);
        return;
    }
    if (!relay_request_take(t))
        return;
    relay_request_keep(t);
    int r = t->send_broken ? 1 : send_ready(t);
    if (r == -1) {
        if (t->up->reused && !t->sent_any) {
            txn_upstream_lost(t, "stale connection");
            return;
        }
        /* It may have answered before it stopped reading (RFC 9112 9.5): the response half decides.
         */
        t->send_broken = true;
    }
    release_empty(t);
    set_watchers(t, r == 0);
}

/* ---- receiving
 * ------------------------------------------------------------------------------------------------
 */

static struct buf *input_buffer(struct txn *t)
{
    struct conn *c = t->conn;
    if (!c->in)
        c->in = buf_get(&t->worker->bufs, t->req_left > BUF_SMALL_BYTES);
    else if (buf_room(c->in) == 0)
        buf_compact(c->in);
    return c->in;
}

/* A part of a big body. False: it is to be copied. */
static bool splice_body(struct txn *t)
{
    struct conn *c = t->conn;
    if (t->to_backend) { /* the backend must take these first */
        conn_want(c, link_wanted(c->link, &c->io) & EV_WRITE);
        return true;
    }
    ssize_t n = splice_fill(t->worker, &t->to_backend, conn_fd(c), t->req_left);
    if (n == -1 && errno == ENOBUFS)
        return false;
    if (n == 0)
        txn_client_eof(t);
    else if (n == -1 && errno != EAGAIN)
        conn_close(c, "client reset");
    if (n <= 0)
        return true;
    t->req_spliced = true;
    t->req_left -= (uint64_t)n;
    t->req_done = t->req_left == 0;
    t->req_body_bytes += (uint64_t)n;
    account_client_in(t, (uint64_t)n);
    relay_request_push(t);
    return true;
}

void relay_request_readable(struct txn *t)
{
    struct conn *c = t->conn;
    if (splice_request_fits(t) && splice_body(t))
        return;
    struct buf *in = input_buffer(t);
    if (!in) {
        conn_close(c, "out of memory");
        return;
    }
    if (buf_room(in) == 0) { /* full of bytes the backend has not taken yet */
        conn_want(c, link_wanted(c->link, &c->io) & EV_WRITE);
        return;
    }
    ssize_t n = conn_recv(c, in);
    if (n == 0) {
        release_empty(t);
        txn_client_eof(t);
        return;
    }
    if (n == -1) {
        if (errno != EAGAIN)
            conn_close(c, "client reset");
        return;
    }
    if (t->state == TXN_EXCHANGE)
        relay_request_push(t);
    else
        /* not connected yet, or answering: these bytes wait */
        conn_want(c, link_wanted(c->link, &c->io) & EV_WRITE);
}
