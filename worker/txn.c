/* worker/txn.c */
#include "worker/txn.h"

#include <string.h>
#include "base/log.h"
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/head.h"
#include "worker/key.h"
#include "worker/pick.h"
#include "worker/proto_http1.h"
#include "worker/relay.h"
#include "worker/reply.h"
#include "worker/tunnel.h"
#include "worker/upstream.h"
#include "worker/worker_int.h"

/* A client's end of file this long after its request is that of one who gave up. */
#define HALF_CLOSE_WITHIN_MS 1000u
/* How long a half-closed client's request waits for a backend. */
#define HALF_CLOSED_MS 5000u

void txn_set_state(struct txn *t, enum txn_state state)
{
    t->state = (uint8_t)state;
}

static struct txn *begin(struct conn *c)
{
    struct worker *w = c->worker;
    struct txn *t = slab_get(&w->txn_slab);
    if (!t) {
        conn_close(c, "out of memory");
        return NULL;
    }
    memset(t, 0, sizeof *t);
    MAGIC_SET(t, TXN_MAGIC);
    t->conn = c;
    t->worker = w;
    t->gen = w->gen;
    gen_ref(t->gen);
    t->listener = t->gen->by_row[c->listener_row];
    t->entry = INDEX_NONE;
    t->started_us = w->now_us;
    c->txn = t;
    c->state = CONN_BUSY;
    c->served++;
    return t;
}

static void free_buffers(struct txn *t)
{
    struct buf_pool *p = &t->worker->bufs;
    buf_put(p, t->up_head);
    buf_put(p, t->head_out);
    buf_put(p, t->rbuf);
    t->up_head = t->head_out = t->rbuf = NULL;
    if (t->res)
        slab_put(&t->worker->head_slab, t->res);
    t->res = NULL;
}

/* A body that the backend did not take is not the next request. */
static void drop_unsent_body(struct txn *t)
{
    if (t->conn->in)
        t->conn->in->start += t->req_ready;
    t->req_ready = 0;
}

static void end(struct txn *t)
{
    struct worker *w = t->worker;
    drop_unsent_body(t);
    txn_leave_backend(t, false);
    account_txn(t);
    free_buffers(t);
    gen_unref(w, t->gen);
    t->conn->txn = NULL;
    txn_set_state(t, TXN_DONE);
    worker_retire_txn(w, t);
}

void txn_leave_backend(struct txn *t, bool keep_connection)
{
    upstream_detach(t, keep_connection);
    pick_release(t);
}

void txn_drop(struct txn *t, const char *why)
{
    if (!t->end)
        t->end = why;
    t->aborted = !t->failed && t->state != TXN_TUNNEL;
    end(t);
}

void txn_finish(struct txn *t)
{
    struct conn *c = t->conn;
    bool close_after = t->client_close || !t->req_done;
    end(t);
    if (close_after)
        conn_linger(c);
    else
        conn_to_idle(c);
}

/* ---- ROUTE
 * ----------------------------------------------------------------------------------------------------
 */

static void route(struct txn *t)
{
    t->pool = &t->gen->pools[t->listener->pool];
}

static void note_request(struct txn *t, const struct http1_head *h, struct buf *in)
{
    t->req_is_head = h->is_head;
    t->req_is_connect = h->is_connect;
    t->req_idempotent = h->idempotent;
    t->req_keep_alive = h->keep_alive;
    t->req_upgrade = h->upgrade;
    t->req_http10 = h->minor == 0;
    t->req_wants_html = head_accepts_html(h, buf_at(in));
    t->req_body = h->body;
    t->req_left = h->body == HTTP1_BODY_LENGTH ? h->content_length : 0;
    t->req_done =
        h->body == HTTP1_BODY_NONE || (h->body == HTTP1_BODY_LENGTH && h->content_length == 0);
    http1_chunked_reset(&t->req_chunked);
    t->client_close = !h->keep_alive || t->conn->draining || t->worker->draining;
    account_client_in(t, h->head_bytes);
}

/* A request that is refused before it is routed; NULL: fine. */
static const char *refuse(const struct txn *t, unsigned *status)
{
    if (t->req_is_connect) {
        *status = 405;
        return "CONNECT is not supported";
    }
    if (t->listener->limits.body_bytes && t->req_left > t->listener->limits.body_bytes) {
        *status = 413;
        return "Request body too large";
    }
    return NULL;
}

/* A body that is here already and fits goes with the head in one write, and can be sent again to
 * another backend. */
static void absorb_body(struct txn *t)
{
    struct conn *c = t->conn;
    if (!relay_request_take(t))
        return;
    t->req_replayable = t->req_done && t->req_ready <= buf_room(t->up_head);
    if (!t->req_replayable || t->req_ready == 0)
        return;
    buf_append(t->up_head, buf_at(c->in), t->req_ready);
    c->in->start += t->req_ready;
    t->req_ready = 0;
}

void txn_start_http(struct conn *c)
{
    struct http1_head *h = c->head;
    struct txn *t = begin(c);
    if (!t)
        return;
    note_request(t, h, c->in);
    unsigned status = 0;
    const char *refusal = refuse(t, &status);
    if (!refusal && head_build_request(t, h) == -1) {
        status = 503;
        refusal = "Out of memory";
    }
    route(t);
    key_fill(t, h, buf_at(c->in));
    c->in->start += h->head_bytes;
    http1_release_head(c);
    if (refusal) {
        txn_fail(t, status, refusal);
        return;
    }
    absorb_body(t);
    if (t->state == TXN_NEW)
        txn_dispatch(t);
}

void txn_start_refused(struct conn *c, unsigned status, const char *text)
{
    struct txn *t = begin(c);
    if (!t)
        return;
    http1_release_head(c);
    t->client_close = true;
    t->end = text;
    reply_error(t, status, text);
}

void txn_start_tcp(struct conn *c)
{
    struct txn *t = begin(c);
    if (!t)
        return;
    t->req_idempotent = true;
    route(t);
    key_fill(t, NULL, NULL);
    conn_want(c, 0);
    txn_dispatch(t);
}

/* ---- PICK, CONNECT
 * -------------------------------------------------------------------------------------------- */

static void give_up(struct txn *t, enum pick_result why)
{
    if (t->fail_status)
        txn_fail(t, t->fail_status,
                 t->fail_status == 504 ? "Backend timed out" : "Backend connection failed");
    else
        txn_fail(t, 503,
                 why == PICK_FULL ? "All servers are at their connection limit"
                                  : "No available servers");
}

static void attempt_failed(struct txn *t, unsigned status, bool connect_error)
{
    account_attempt_failed(t, connect_error, status == 504);
    t->fail_status = (uint16_t)status;
    pick_mark_tried(t);
    txn_leave_backend(t, false);
}

/* Connected already (pooled): sends now. */
static void attached(struct txn *t)
{
    txn_set_state(t, TXN_CONNECT);
    if (!t->up->connecting) {
        txn_connected(t);
        return;
    }
    conn_want(t->conn, t->conn->protocol == CONF_TCP ? 0 : EV_READ);
    txn_arm(t);
}

void txn_dispatch(struct txn *t)
{
    while (t->attempts < TXN_ATTEMPTS_MAX) {
        enum pick_result r = pick_backend(t);
        if (r != PICK_OK) {
            give_up(t, r);
            return;
        }
        if (t->attempts++ > 0)
            account_retry(t);
        if (upstream_attach(t) == 0) {
            attached(t);
            return;
        }
        attempt_failed(t, 502, true);
    }
    give_up(t, PICK_NONE);
}

void txn_connected(struct txn *t)
{
    account_sent(t);
    t->sent_any = false;
    upstream_want(t->up, EV_READ);
    if (t->conn->protocol == CONF_TCP) {
        tunnel_start(t);
        return;
    }
    txn_set_state(t, TXN_EXCHANGE);
    relay_request_push(t);
}

void txn_connect_failed(struct txn *t, int error)
{
    log_debug("connect failed backend=%s error=\"%s\"",
              entry_at(t->worker->table, t->entry)->endpoint, strerror(error));
    attempt_failed(t, 502, true);
    txn_dispatch(t);
}

/* ---- failure
 * --------------------------------------------------------------------------------------------------
 */

/* May the request be sent on another connection? Nothing of an answer was seen, and either nothing
 * of it was sent, or all that was sent is still here and acting twice does no harm (RFC 9110 9.2.2,
 * RFC 9112 9.3.1). */
static bool may_resend(const struct txn *t)
{
    bool answered = t->res_head_done || (t->rbuf && buf_len(t->rbuf) > 0) || t->client_started;
    return !answered && (!t->sent_any || (t->req_replayable && t->req_idempotent));
}

static void resend_on_fresh(struct txn *t)
{
    account_retry(t);
    t->fresh_only = true;
    t->send_broken = false;
    t->up_head->start = 0;
    upstream_detach(t, false);
    if (upstream_attach(t) == 0) {
        attached(t);
        return;
    }
    attempt_failed(t, 502, true);
    txn_dispatch(t);
}

void txn_upstream_lost(struct txn *t, const char *why)
{
    log_debug("backend connection lost backend=%s reason=\"%s\"",
              entry_at(t->worker->table, t->entry)->endpoint, why);
    if (t->up->reused && may_resend(t)) {
        resend_on_fresh(t);
        return;
    }
    account_attempt_failed(t, false, false);
    t->end = why;
    txn_fail(t, 502, "Backend closed the connection");
}

/* Part of an answer is out. Who reads to the end of the connection must not take a clean end for
 * the end of the answer. */
static void cut_answer(struct txn *t, const char *text)
{
    if (!t->end)
        t->end = text;
    if (t->res_head_done && t->req_http10)
        conn_reset(t->conn, text);
    else
        conn_close(t->conn, text);
}

void txn_fail(struct txn *t, unsigned status, const char *text)
{
    /* Interim responses that went out whole are followed by any other. */
    bool answering = t->client_started && (t->res_head_done || relay_response_pending(t) > 0);
    t->failed = status >= 500;
    if (t->conn->protocol == CONF_TCP || answering) {
        cut_answer(t, text);
        return;
    }
    txn_leave_backend(t, false);
    if (!t->req_done || t->conn->draining)
        t->client_close = true;
    reply_error(t, status, text);
}

/* ---- deadlines
 * ------------------------------------------------------------------------------------------------
 */

enum waiting {
    WAIT_CONNECT,
    WAIT_CLIENT_SEND,
    WAIT_BACKEND_SEND,
    WAIT_CLIENT_BODY,
    WAIT_BACKEND,
    WAIT_TUNNEL
};

static enum waiting waiting_for(const struct txn *t)
{
    if (t->state == TXN_CONNECT)
        return WAIT_CONNECT;
    if (t->state == TXN_TUNNEL)
        return WAIT_TUNNEL;
    if (relay_response_pending(t) > 0)
        return WAIT_CLIENT_SEND;
    if (relay_request_pending(t) > 0)
        return WAIT_BACKEND_SEND;
    return !t->req_done && t->state == TXN_EXCHANGE ? WAIT_CLIENT_BODY : WAIT_BACKEND;
}

/* Waits for a backend after the client's end of file. That may be the end of a client that only
 * sends no more, or that of one who gave up: nobody can tell before something is written. */
static bool half_closed(const struct txn *t)
{
    return t->conn->eof && !t->res_head_done &&
           (t->state == TXN_CONNECT || t->state == TXN_EXCHANGE);
}

static uint32_t patience_ms(const struct txn *t)
{
    uint64_t until_us = t->started_us + HALF_CLOSED_MS * 1000ull, now_us = t->worker->now_us;
    return until_us > now_us ? (uint32_t)((until_us - now_us) / 1000) : 0;
}

void txn_client_eof(struct txn *t)
{
    t->conn->eof = true;
    bool late = t->worker->now_us > t->started_us + HALF_CLOSE_WITHIN_MS * 1000ull;
    bool cut_short = !t->req_done && t->state != TXN_REPLY;
    if (cut_short || (late && half_closed(t))) {
        conn_close(t->conn, "client closed");
        return;
    }
    conn_want(t->conn, t->conn->io.events & EV_WRITE);
    txn_arm(t);
}

void txn_arm(struct txn *t)
{
    const struct conf_timeouts *listener = &t->listener->timeouts;
    const struct conf_timeouts *pool = t->pool ? &t->pool->conf->timeouts : listener;
    uint32_t ms = 0;
    switch (waiting_for(t)) {
    case WAIT_CONNECT: ms = pool->connect_ms; break;
    case WAIT_CLIENT_SEND: ms = listener->body_ms; break;
    case WAIT_BACKEND_SEND: ms = pool->send_ms; break;
    case WAIT_CLIENT_BODY: ms = listener->body_ms; break;
    case WAIT_BACKEND: ms = pool->read_ms; break;
    case WAIT_TUNNEL: ms = listener->idle_ms; break;
    }
    if (half_closed(t) && patience_ms(t) < ms)
        ms = patience_ms(t);
    conn_deadline(t->conn, ms);
}

void txn_on_timeout(struct txn *t)
{
    if (half_closed(t) && patience_ms(t) == 0) {
        conn_close(t->conn, "client closed");
        return;
    }
    switch (waiting_for(t)) {
    case WAIT_CONNECT:
        attempt_failed(t, 504, true);
        txn_dispatch(t);
        return;
    case WAIT_CLIENT_BODY: txn_fail(t, 408, "Request body timed out"); return;
    case WAIT_CLIENT_SEND: conn_reset(t->conn, "client does not read"); return;
    case WAIT_TUNNEL: conn_close(t->conn, "idle tunnel"); return;
    case WAIT_BACKEND_SEND:
    case WAIT_BACKEND:
        account_attempt_failed(t, false, true);
        t->end = "backend timeout";
        txn_fail(t, 504, "Backend timed out");
        return;
    }
}
