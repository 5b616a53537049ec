/*
 * worker/txn_start.c: from a parsed head to a request on its way: the steps that a request passes.
 * A new step is one file and one row of the table.
 */
#include "worker/txn_start.h"

#include <string.h>
#include "worker/access_log.h"
#include "conf/route.h"
#include "worker/account.h"
#include "worker/auth.h"
#include "worker/cache.h"
#include "worker/conn.h"
#include "worker/dispatch.h"
#include "worker/handover.h"
#include "worker/head.h"
#include "worker/key.h"
#include "worker/mirror.h"
#include "worker/proto_http1.h"
#include "worker/rate_limit.h"
#include "worker/relay.h"
#include "worker/reply.h"
#include "worker/sticky.h"
#include "worker/route.h"
#include "worker/trace.h"
#include "worker/txn.h"

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
    t->client_close = !h->keep_alive || conn_must_go(t->conn);
}

/* ---- the steps ---- */

static bool step_refuse(struct txn *t, const struct http1_head *h, const char *base)
{
    (void)h, (void)base;
    uint64_t most = t->listener->limits.body_bytes;
    if (t->req_is_connect)
        txn_fail(t, 405, "CONNECT is not supported");
    else if (most && t->req_left > most)
        txn_fail(t, 413, "Request body too large");
    else
        return true;
    return false;
}

/* Will what is sent be kept, so that it can be sent again? Of a body as much as the rules say; of
 * requests that are never sent twice only what goes with the head in one write. */
static void plan_replay(struct txn *t)
{
    const struct conf_retry *r = &t->pool->conf->retry;
    t->req_keep_bytes = 0;
    t->req_replayable = t->req_idempotent || t->req_done;
    if (t->req_done || !t->req_idempotent)
        return;
    if (t->req_body == HTTP1_BODY_LENGTH && t->req_left > r->body_bytes)
        t->req_replayable = false;
    else if (r->attempts > 1)
        t->req_keep_bytes =
            t->req_body == HTTP1_BODY_LENGTH ? (uint32_t)t->req_left : r->body_bytes;
}

/* What is here of the body goes with the head in one write when it is all of it, or is kept. */
static void take_first_bytes(struct txn *t)
{
    if (!relay_request_take(t))
        return;
    t->req_replayable |= t->req_done;
    relay_request_keep(t);
}

/* The last one: the head for the backend is written, the client's is done with. */
static bool step_forward(struct txn *t, const struct http1_head *h, const char *base)
{
    struct conn *c = t->conn;
    key_fill(t, h, base);
    if (UNLIKELY(t->pool->conf->sticky != NULL))
        sticky_find(t, h, base);
    plan_replay(t);
    int built = head_build_request(t, h);
    txn_release_head(t);
    if (built == -1) {
        txn_fail(t, 503, "Out of memory");
        return false;
    }
    take_first_bytes(t);
    if (UNLIKELY(t->route->mirror != INDEX_NONE) && c->txn == t && t->state != TXN_REPLY)
        mirror_copy(t);
    if (c->txn == t && t->state != TXN_REPLY)
        txn_dispatch(t);
    return false;
}

static bool (*const steps[])(struct txn *, const struct http1_head *, const char *base) = {
    step_refuse, step_route, step_auth, step_rate_limit, step_cache, step_forward,
};

void txn_advance(struct txn *t)
{
    struct conn *c = t->conn;
    if (t->state == TXN_WAIT)
        txn_set_state(t, TXN_NEW);
    t->wait = NULL;
    while (t->step < ARRAY_LEN(steps))
        if (!steps[t->step++](t, c->head, buf_at(c->in)))
            return;
}

/* What is left of the request is its body. */
void txn_release_head(struct txn *t)
{
    struct conn *c = t->conn;
    if (!c->head)
        return;
    c->in->start += c->head->head_bytes;
    http1_release_head(c);
}

void txn_start_http(struct conn *c)
{
    struct txn *t = txn_begin(c);
    if (!t)
        return;
    note_request(t, c->head, c->in);
    account_client_in(t, c->head->head_bytes);
    if (UNLIKELY(t->listener->traceparent))
        trace_begin(t, c->head, buf_at(c->in));
    if (t->note)
        access_note_head(t, c->head, buf_at(c->in));
    txn_advance(t);
}

void txn_start_own(struct txn *t)
{
    t->quiet = true;
    if (t->note)
        access_drop(t);
    note_request(t, t->conn->head, t->conn->in);
    t->step = ARRAY_LEN(steps) - 1;
    txn_advance(t);
}

void txn_start_refused(struct conn *c, unsigned status, const char *text)
{
    struct txn *t = txn_begin(c);
    if (!t)
        return;
    http1_release_head(c);
    t->client_close = true;
    t->end = text;
    reply_error(t, status, text);
}

void txn_start_tcp(struct conn *c, uint32_t pool)
{
    struct txn *t = txn_begin(c);
    if (!t)
        return;
    t->req_idempotent = true;
    t->pool = &t->gen->pools[pool];
    key_fill(t, NULL, NULL);
    if (t->pool->conf->sticky)
        sticky_find(t, NULL, NULL);
    if (c->in) /* read to find the pool */
        account_client_in(t, buf_len(c->in));
    conn_want(c, 0);
    if (rate_limit_tcp(t))
        txn_dispatch(t);
}
