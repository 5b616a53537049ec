/* worker/deadline.c: what a request waits for, and what happens when that takes too long. */
#include "conf/route.h"
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/link.h"
#include "worker/dispatch.h"
#include "worker/relay.h"
#include "worker/txn.h"

/* A client's end of file this long after its request is that of one who gave up. */
#define HALF_CLOSE_WITHIN_MS 1000u
/* How long a half-closed client's request waits for a backend. */
#define HALF_CLOSED_MS 5000u

enum waiting {
    WAIT_STEP,
    WAIT_CONNECT,
    WAIT_CLIENT_SEND,
    WAIT_BACKEND_SEND,
    WAIT_CLIENT_BODY,
    WAIT_BACKEND,
    WAIT_TUNNEL
};

static enum waiting waiting_for(const struct txn *t)
{
    if (t->state == TXN_WAIT)
        return WAIT_STEP;
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
    return t->conn->eof &&
           (t->state == TXN_WAIT || t->state == TXN_CONNECT || t->state == TXN_EXCHANGE);
}

static uint32_t left_ms(const struct txn *t, uint64_t until_us)
{
    uint64_t now_us = t->worker->now_us;
    return until_us > now_us ? (uint32_t)((until_us - now_us) / 1000) : 0;
}

/* Until the answer begins it is counted from the request; then from one part to the next. */
static uint32_t patience_ms(const struct txn *t)
{
    return t->res_head_done ? HALF_CLOSED_MS : left_ms(t, t->started_us + HALF_CLOSED_MS * 1000ull);
}

void txn_client_eof(struct txn *t)
{
    t->conn->eof = true;
    bool late = t->worker->now_us > t->started_us + HALF_CLOSE_WITHIN_MS * 1000ull;
    bool cut_short = !t->req_done && t->state != TXN_REPLY;
    if (cut_short || (late && !t->res_head_done && half_closed(t))) {
        conn_close(t->conn, "client closed");
        return;
    }
    conn_want(t->conn, link_wanted(t->conn->link, &t->conn->io) & EV_WRITE);
    txn_arm(t);
}

/* What a route says comes before what the listener and the pool say. */
static uint32_t first_of(uint32_t route_ms, uint32_t ms)
{
    return __builtin_expect(route_ms, 0) ? route_ms : ms;
}

static const struct conf_route_timeouts *route_timeouts(const struct txn *t)
{
    static const struct conf_route_timeouts none;
    return t->route ? &t->route->timeouts : &none;
}

/* How long the whole request may still take; UINT32_MAX: for ever. */
static uint32_t total_ms(const struct txn *t)
{
    uint32_t total = route_timeouts(t)->total_ms;
    if (!total || t->state == TXN_TUNNEL || t->state == TXN_REPLY)
        return UINT32_MAX;
    return left_ms(t, t->started_us + total * 1000ull);
}

static void total_over(struct txn *t)
{
    if (t->wait)
        txn_cancel_wait(t);
    account_attempt_failed(t, false, true);
    t->end = "total timeout";
    txn_fail(t, 504, "Request timed out");
}

void txn_arm(struct txn *t)
{
    const struct conf_route_timeouts *route = route_timeouts(t);
    const struct conf_timeouts *listener = &t->listener->timeouts;
    const struct conf_timeouts *pool = t->pool ? &t->pool->conf->timeouts : listener;
    uint32_t ms = 0;
    switch (waiting_for(t)) {
    case WAIT_STEP: ms = left_ms(t, t->wait_until_us); break;
    case WAIT_CONNECT: ms = first_of(route->connect_ms, pool->connect_ms); break;
    case WAIT_CLIENT_SEND: ms = first_of(route->body_ms, listener->body_ms); break;
    case WAIT_BACKEND_SEND: ms = first_of(route->send_ms, pool->send_ms); break;
    case WAIT_CLIENT_BODY: ms = first_of(route->body_ms, listener->body_ms); break;
    case WAIT_BACKEND: ms = first_of(route->read_ms, pool->read_ms); break;
    case WAIT_TUNNEL: ms = first_of(route->idle_ms, listener->idle_ms); break;
    }
    if (half_closed(t) && patience_ms(t) < ms)
        ms = patience_ms(t);
    if (total_ms(t) < ms)
        ms = total_ms(t);
    conn_deadline(t->conn, ms);
}

void txn_on_timeout(struct txn *t)
{
    if (half_closed(t) && (t->res_head_done || patience_ms(t) == 0)) {
        conn_close(t->conn, "client closed");
        return;
    }
    if (total_ms(t) == 0) {
        total_over(t);
        return;
    }
    switch (waiting_for(t)) {
    case WAIT_STEP: t->wait->over(t); return;
    case WAIT_CONNECT: txn_connect_timeout(t); return;
    case WAIT_CLIENT_BODY: txn_fail(t, 408, "Request body timed out"); return;
    case WAIT_CLIENT_SEND: conn_reset(t->conn, "client does not read"); return;
    case WAIT_TUNNEL: conn_close(t->conn, "idle tunnel"); return;
    case WAIT_BACKEND_SEND:
    case WAIT_BACKEND: txn_response_timeout(t); return;
    }
}
