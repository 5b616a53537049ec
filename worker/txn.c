/* worker/txn.c */
#include "worker/txn.h"

#include <string.h>
#include "worker/access_log.h"
#include "worker/account.h"
#include "worker/compress.h"
#include "worker/cache.h"
#include "worker/conn.h"
#include "worker/mirror.h"
#include "worker/pick.h"
#include "worker/relay.h"
#include "worker/reply.h"
#include "worker/retry.h"
#include "worker/splice.h"
#include "worker/tunnel.h"
#include "worker/txn_start.h"
#include "worker/upstream.h"
#include "worker/worker_int.h"

void txn_set_state(struct txn *t, enum txn_state state)
{
    t->state = (uint8_t)state;
    slot_breadcrumb(t->worker->table, t->worker->slot, state, t->entry);
}

struct txn *txn_begin(struct conn *c)
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
    t->gen = conn_gen(c);
    gen_ref(t->gen);
    t->listener = t->gen->by_row[c->listener_row];
    t->route = t->listener->fallback;
    t->entry = t->stick = INDEX_NONE;
    t->started_us = w->now_us;
    if (t->listener->access_log.sink != INDEX_NONE)
        access_begin(t);
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
    buf_put(p, t->target);
    buf_put(p, t->fields);
    buf_put(p, t->claims);
    t->up_head = t->head_out = t->rbuf = t->target = t->fields = t->claims = NULL;
    if (UNLIKELY(t->compressor != NULL))
        compress_end(t);
    splice_drop(t->worker, &t->to_client);
    splice_drop(t->worker, &t->to_backend);
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

/* What it holds, but for its place in the books. */
static void let_go(struct txn *t)
{
    tunnel_settle(t);
    if (t->wait)
        txn_cancel_wait(t);
    txn_release_head(t);
    drop_unsent_body(t);
    if (UNLIKELY(t->mirror != NULL))
        mirror_end(t);
    txn_leave_backend(t, false);
    if (UNLIKELY(t->retrying))
        retry_end(t);
    if (UNLIKELY(t->cache != NULL))
        cache_end(t);
}

static void forget(struct txn *t)
{
    struct worker *w = t->worker;
    free_buffers(t);
    gen_unref(w, t->gen);
    t->conn->txn = NULL;
    txn_set_state(t, TXN_DONE);
    worker_retire_txn(w, t);
}

static void end(struct txn *t)
{
    let_go(t);
    if (LIKELY(!t->quiet))
        account_txn(t);
    if (t->note)
        access_end(t);
    forget(t);
}

void txn_give_up(struct txn *t)
{
    let_go(t);
    if (t->note)
        access_drop(t);
    forget(t);
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

/* The client said that this request without a body is its last, and nothing more has come: no byte
 * of the answer can be lost to a reset, so nobody needs to wait for the client's FIN (RFC
 * 9112 9.6). */
static bool is_last(const struct txn *t)
{
    const struct conn *c = t->conn;
    return !t->req_keep_alive && t->req_done && t->req_body == HTTP1_BODY_NONE && !c->link &&
           (!c->in || buf_len(c->in) == 0);
}

void txn_finish(struct txn *t)
{
    struct conn *c = t->conn;
    bool close_after = t->client_close || !t->req_done, last = close_after && is_last(t);
    end(t);
    if (last)
        conn_close(c, "answered");
    else if (close_after)
        conn_linger(c);
    else
        conn_to_idle(c);
}

/* ---- waiting for something else than a peer ---- */

void txn_wait(struct txn *t, const struct txn_wait *wait, uint32_t ms)
{
    t->wait = wait;
    t->wait_until_us = t->worker->now_us + (uint64_t)ms * 1000;
    txn_set_state(t, TXN_WAIT);
    conn_want(t->conn, t->conn->protocol == CONF_TCP ? 0 : EV_READ);
    txn_arm(t);
}

void txn_cancel_wait(struct txn *t)
{
    const struct txn_wait *wait = t->wait;
    t->wait = NULL;
    if (wait->cancel)
        wait->cancel(t);
}

/* ---- failure ---- */

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
    if (t->conn->protocol != CONF_HTTP || answering) {
        cut_answer(t, text);
        return;
    }
    txn_leave_backend(t, false);
    if (UNLIKELY(t->cache != NULL) && cache_stands_in(t, status))
        return;
    if (!t->req_done || t->conn->draining)
        t->client_close = true;
    if (!t->end)
        t->end = text;
    reply_error(t, status, text);
}
