/* worker/relay_response.c: the backend's bytes to the client. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "conf/route.h"
#include "worker/account.h"
#include "worker/cache.h"
#include "worker/compress.h"
#include "worker/conn.h"
#include "worker/dispatch.h"
#include "worker/handover.h"
#include "worker/head.h"
#include "worker/link.h"
#include "worker/pick.h"
#include "worker/relay_int.h"
#include "worker/retry.h"
#include "worker/splice.h"
#include "worker/tunnel.h"
#include "worker/txn.h"
#include "worker/upstream.h"
#include "worker/verdict.h"

#define STORED_ROUNDS 8
#define DRAINED_BYTES 65536u

static const struct http1_limits response_limits = {BUF_LARGE_BYTES - 4096, HTTP1_HEADERS_MAX};

/* ---- head
 * -----------------------------------------------------------------------------------------------------
 */

/* Heads wait in head_out; one that finds no room behind others sends those first. */
static bool room_for_head(struct txn *t, uint32_t bytes)
{
    struct buf_pool *p = &t->worker->bufs;
    if (buf_reserve(p, &t->head_out, bytes))
        return true;
    return t->head_out && relay_response_send(t) == 1 && buf_reserve(p, &t->head_out, bytes);
}

/* An interim response goes to the client at once (RFC 9110 15.2), but for HTTP/1.0 clients, who do
 * not know them. */
static bool forward_interim(struct txn *t)
{
    if (!t->req_http10) {
        if (!room_for_head(t, t->res->head_bytes + HEAD_STATUS_BYTES))
            return false;
        head_build_interim(t, t->res);
    }
    t->rbuf->start += t->res->head_bytes;
    http1_head_reset(t->res);
    return true;
}

static void choose_framing(struct txn *t, const struct http1_head *h)
{
    t->res_body = h->body;
    t->res_left = h->body == HTTP1_BODY_LENGTH ? h->content_length : 0;
    t->res_out = BODY_AS_IS;
    http1_chunked_reset(&t->res_chunked);
    if (h->body == HTTP1_BODY_CHUNKED && t->req_http10) {
        t->res_out = BODY_DECHUNK;
        t->client_close = true;
    } else if (h->body == HTTP1_BODY_CLOSE) {
        if (t->req_http10)
            t->client_close = true;
        else
            t->res_out = BODY_ENCHUNK;
    }
    if (UNLIKELY(t->cache != NULL) && cache_discards(t))
        t->res_out = BODY_DISCARD;
}

static bool pass_head(struct txn *t)
{
    const struct http1_head *h = t->res;
    if (UNLIKELY(t->cache != NULL))
        cache_shape(t);
    t->req_replayable = false;
    t->status = h->status;
    t->res_head_done = true;
    choose_framing(t, h);
    if (UNLIKELY(t->route->compress != NULL))
        compress_response(t, h);
    if (!t->req_done || conn_must_go(t->conn))
        t->client_close = true;
    if (head_response_as_is(t, h)) {
        t->res_ready = h->head_bytes;
    } else {
        if (!room_for_head(t, head_response_bytes(t, h)) || head_build_response(t, h) == -1)
            return false;
        t->rbuf->start += h->head_bytes;
    }
    slab_put(&t->worker->head_slab, t->res);
    t->res = NULL;
    return true;
}

static bool final_head(struct txn *t)
{
    const struct http1_head *h = t->res;
    account_response(t, h->status);
    verdict_response(t, h->status);
    t->res_upstream_keep = h->keep_alive && h->body != HTTP1_BODY_CLOSE;
    return pass_head(t);
}

/* A backend that switches protocols although nobody asked is out of step. */
static bool switch_allowed(const struct txn *t)
{
    return t->req_upgrade && t->req_done && t->state == TXN_EXCHANGE;
}

enum took {
    TOOK_HEAD,
    NEED_MORE,
    BAD_HEAD,
    RETRIED /* the answer is not taken: another backend is asked, or the cache answers */
};

/* Is the whole answer here already? Then its connection can be used again. */
static bool whole(const struct txn *t, const struct http1_head *h)
{
    uint64_t body = h->body == HTTP1_BODY_LENGTH ? h->content_length : 0;
    bool framed = h->body == HTTP1_BODY_LENGTH || h->body == HTTP1_BODY_NONE;
    return framed && h->keep_alive && t->req_done && relay_request_pending(t) == 0 &&
           relay_raw_len(t) == h->head_bytes + body;
}

static bool refuse_status(struct txn *t, const struct http1_head *h)
{
    if (LIKELY(!conf_failures_has(&t->pool->conf->retry.on, h->status)) || !pick_has_other(t) ||
        !retry_begin(t, h->status))
        return false;
    bool keep = whole(t, h);
    account_response(t, h->status);
    verdict_response(t, h->status);
    pick_mark_tried(t);
    txn_retry(t, keep);
    return true;
}

static enum took take_parsed(struct txn *t)
{
    uint16_t status = t->res->status;
    if (status < 200 && status != 101)
        return forward_interim(t) ? NEED_MORE : BAD_HEAD;
    if (status == 101 && !switch_allowed(t))
        return BAD_HEAD;
    if (refuse_status(t, t->res))
        return RETRIED;
    if (UNLIKELY(t->cache != NULL) && cache_takes_answer(t, whole(t, t->res)))
        return RETRIED;
    return final_head(t) ? TOOK_HEAD : BAD_HEAD;
}

static enum took take_head(struct txn *t)
{
    if (!t->res) {
        if (!(t->res = slab_get(&t->worker->head_slab)))
            return BAD_HEAD;
        http1_head_reset(t->res);
    }
    for (;;) {
        enum http1_result r =
            http1_parse_response(t->res, buf_at(t->rbuf), buf_len(t->rbuf), &response_limits,
                                 t->req_is_head, t->req_is_connect);
        if (r == HTTP1_MORE)
            return buf_reserve(&t->worker->bufs, &t->rbuf, 1) ? NEED_MORE : BAD_HEAD;
        enum took took = r == HTTP1_ERROR ? BAD_HEAD : take_parsed(t);
        if (took != NEED_MORE)
            return took;
    }
}

/* ---- the exchange
 * --------------------------------------------------------------------------------------------- */

/* The backend has done its part. Its connection is worth keeping when both messages were complete
 * and it said nothing more. */
static void response_complete(struct txn *t)
{
    bool clean = t->res_upstream_keep && t->req_done && relay_request_pending(t) == 0 &&
                 !t->send_broken && relay_raw_len(t) == 0;
    if (!t->req_done)
        t->client_close = true;
    /* Backends do send bodies where none may be: they are looked for before the connection is used
     * again. */
    if (UNLIKELY(t->keeps))
        cache_complete(t);
    t->up->doubtful = t->req_is_head || t->status == 204 || t->status == 304;
    txn_leave_backend(t, clean);
    buf_put(&t->worker->bufs, t->up_head);
    t->up_head = NULL;
}

/* A body that goes nowhere, not even into the cache, is not waited for when it is long. */
static void cut_discarded(struct txn *t)
{
    bool short_ = t->res_body == HTTP1_BODY_LENGTH && t->res_left <= DRAINED_BYTES;
    if (t->keeps || t->res_done || short_)
        return;
    t->res_done = true;
    t->res_upstream_keep = false;
}

/* Everything in rbuf is looked at. False: the txn was answered, ended, or is with another backend.
 */
static bool take(struct txn *t)
{
    enum took took = t->res_head_done ? TOOK_HEAD : take_head(t);
    if (took == BAD_HEAD)
        txn_bad_response(t, "invalid response head");
    if (took == BAD_HEAD || took == RETRIED)
        return false;
    if (took == NEED_MORE || t->status == 101)
        return true;
    if (!relay_take_body(t)) {
        txn_bad_response(t, "invalid chunk from backend");
        return false;
    }
    if (UNLIKELY(t->res_out == BODY_DISCARD))
        cut_discarded(t);
    if (t->res_done)
        response_complete(t);
    return true;
}

static void on_eof(struct txn *t, bool reset)
{
    bool by_close = t->res_head_done && t->res_body == HTTP1_BODY_CLOSE && !reset;
    if (!by_close) {
        txn_upstream_lost(t, reset ? "backend reset" : "backend closed early");
        return;
    }
    if (t->res_out == BODY_ENCHUNK) {
        if (!t->rbuf && !(t->rbuf = buf_get(&t->worker->bufs, false))) {
            conn_close(t->conn, "out of memory");
            return;
        }
        buf_append(t->rbuf, "0\r\n\r\n", 5);
        t->res_ready = buf_len(t->rbuf);
    }
    t->res_done = true;
    response_complete(t);
    relay_response_push(t);
}

static struct buf *output_buffer(struct txn *t)
{
    if (!t->rbuf)
        t->rbuf = buf_get(&t->worker->bufs,
                          (t->res_left > BUF_SMALL_BYTES || t->res_body == HTTP1_BODY_CLOSE) &&
                              !t->compressor);
    if (t->rbuf && buf_len(t->rbuf) == 0)
        t->rbuf->start = t->rbuf->end = t->res_out == BODY_ENCHUNK ? CHUNK_HEAD_BYTES : 0;
    return t->rbuf;
}

/* A part of a big body. False: it is to be copied. */
static bool splice_body(struct txn *t)
{
    ssize_t n = splice_fill(t->worker, &t->to_client, upstream_fd(t->up), t->res_left);
    if (n == -1 && errno == ENOBUFS)
        return false;
    if (n == -1 && errno == EAGAIN)
        return true;
    if (n <= 0) {
        on_eof(t, n == -1);
        return true;
    }
    account_backend_in(t, (uint64_t)n);
    t->res_spliced = true;
    t->res_left -= (uint64_t)n;
    t->res_done = t->res_left == 0;
    if (t->res_done)
        response_complete(t);
    relay_response_push(t);
    return true;
}

void relay_response_readable(struct txn *t)
{
    if (relay_response_pending(t) > 0) { /* the client must take these first */
        upstream_want(t->up, link_wanted(t->up->link, &t->up->io) & EV_WRITE);
        return;
    }
    if (splice_response_fits(t) && splice_body(t))
        return;
    struct buf *b = output_buffer(t);
    if (!b) {
        conn_close(t->conn, "out of memory");
        return;
    }
    ssize_t n = upstream_recv(t->up, b);
    if (n == -1 && errno == EAGAIN)
        return;
    if (n <= 0) {
        on_eof(t, n == -1);
        return;
    }
    account_backend_in(t, (uint64_t)n);
    if (take(t))
        relay_response_push(t);
}

/* ---- to the client
 * -------------------------------------------------------------------------------------------- */

static void release_sent(struct txn *t)
{
    if (t->head_out && buf_len(t->head_out) == 0) {
        buf_put(&t->worker->bufs, t->head_out);
        t->head_out = NULL;
    }
    if (t->rbuf && buf_len(t->rbuf) == 0 && t->res_head_done) {
        buf_put(&t->worker->bufs, t->rbuf);
        t->rbuf = NULL;
    }
}

/* More of a stored body. False: it is not all there. */
static bool refill(struct txn *t)
{
    struct buf *b = output_buffer(t);
    return b && cache_more(t, b) > 0 && relay_take_body(t);
}

/* May it go from where it lies? */
static bool goes_plain(const struct txn *t)
{
    return t->res_out == BODY_AS_IS && !t->compressor && !t->conn->link;
}

static int send_from_cache(struct txn *t)
{
    release_sent(t); /* who reads slowly has no buffer */
    ssize_t n = cache_send(t);
    if (n == -1)
        return errno == EAGAIN ? 0 : -1;
    account_client_out(t, (uint64_t)n);
    t->res_left -= (uint64_t)n;
    t->res_done = t->res_left == 0;
    return 1;
}

/* Some of it at a time, so that one client who reads fast does not stop the others. */
static int send_stored(struct txn *t)
{
    for (int rounds = 0; rounds < STORED_ROUNDS; rounds++) {
        int r = relay_response_send(t);
        bool plain = r == 1 && !t->res_done && goes_plain(t);
        if (plain)
            r = send_from_cache(t);
        if (r != 1 || t->res_done)
            return r;
        if (!plain && !refill(t))
            return -1;
    }
    return 0;
}

void relay_response_stored(struct txn *t)
{
    if (pass_head(t) && (t->res_left == 0 ? relay_take_body(t) : refill(t)))
        relay_response_push(t);
    else
        conn_close(t->conn, "out of memory");
}

void relay_response_push(struct txn *t)
{
    int r = UNLIKELY(t->stored) ? send_stored(t) : relay_response_send(t);
    if (r == -1) {
        conn_close(t->conn, "client reset");
        return;
    }
    if (r == 1) {
        release_sent(t);
        if (t->status == 101 && t->res_head_done) {
            tunnel_start(t);
            return;
        }
        if (t->res_done) {
            txn_finish(t);
            return;
        }
    }
    int client = link_wanted(t->conn->link, &t->conn->io) & EV_READ;
    conn_want(t->conn, client | (r == 0 ? EV_WRITE : 0));
    if (t->up)
        upstream_want(t->up,
                      (link_wanted(t->up->link, &t->up->io) & EV_WRITE) | (r == 0 ? 0 : EV_READ));
    txn_arm(t);
}
