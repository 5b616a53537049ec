/*
 * worker/dispatch.c: PICK and CONNECT: a backend for the request, and another one when that fails.
 */
#include "worker/dispatch.h"

#include <errno.h>
#include <string.h>
#include "base/log.h"
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/pick.h"
#include "worker/queue.h"
#include "worker/relay.h"
#include "worker/retry.h"
#include "worker/tunnel.h"
#include "worker/txn.h"
#include "worker/upool.h"
#include "worker/upstream.h"
#include "worker/verdict.h"

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

/* The backend is done with this request: what that says about it, and how it is counted. */
static void attempt_failed(struct txn *t, enum conf_failure failure, const char *reason)
{
    bool timeout = failure == CONF_FAILURE_TIMEOUT;
    account_attempt_failed(t, failure == CONF_FAILURE_CONNECT || t->state == TXN_CONNECT, timeout);
    verdict_failed(t, failure, reason);
    t->fail_status = timeout ? 504 : 502;
    pick_mark_tried(t);
}

/* Another backend, if the rules allow it. */
static void go_on(struct txn *t, unsigned failure)
{
    if (retry_begin(t, failure))
        txn_retry(t, false);
    else
        give_up(t, PICK_NONE);
}

void txn_retry(struct txn *t, bool keep_connection)
{
    txn_leave_backend(t, keep_connection);
    retry_rewind(t);
    txn_dispatch(t);
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

/* Is it we who lack something? Then the backend is not to blame. */
static bool is_ours(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
           error == EADDRNOTAVAIL;
}

/* Once a second, however often it happens. */
static void say_starved(struct worker *w, int error)
{
    if (w->now_us - w->starved_us < 1000000u)
        return;
    log_warning("cannot connect to a backend: %s", strerror(error));
    w->starved_us = w->now_us;
}

/* 0: attached. -1: not even begun; errno. Idle connections make way when descriptors run out. */
static int attach(struct txn *t)
{
    if (upstream_attach(t) == 0)
        return 0;
    if ((errno != EMFILE && errno != ENFILE) || !upool_drop_oldest(t->worker))
        return -1;
    return upstream_attach(t);
}

static void connect_to(struct txn *t)
{
    if (t->attempts++ > 0)
        account_retry(t);
    if (attach(t) == 0) {
        attached(t);
        return;
    }
    if (is_ours(errno)) {
        say_starved(t->worker, errno);
        txn_fail(t, 503, "Out of resources");
        return;
    }
    attempt_failed(t, CONF_FAILURE_CONNECT, strerror(errno));
    go_on(t, CONF_FAILURE_CONNECT);
}

void txn_dispatch(struct txn *t)
{
    if (UNLIKELY(t->pool->conf->queue.size) && queue_must_wait(t)) {
        queue_enter(t);
        return;
    }
    enum pick_result r = pick_backend(t);
    if (LIKELY(r == PICK_OK))
        connect_to(t);
    else if (r == PICK_FULL && t->pool->conf->queue.size && !t->fail_status)
        queue_enter(t);
    else
        give_up(t, r);
}

bool txn_dispatch_queued(struct txn *t)
{
    enum pick_result r = pick_backend(t);
    if (r == PICK_FULL)
        return false;
    queue_leave(t);
    txn_set_state(t, TXN_NEW);
    if (r == PICK_OK)
        connect_to(t);
    else
        give_up(t, r);
    return true;
}

void txn_connected(struct txn *t)
{
    account_sent(t);
    t->sent_any = false;
    upstream_want(t->up, EV_READ);
    if (t->conn->protocol == CONF_TCP) {
        verdict_response(t, 200); /* it took the connection: more is not known of tcp */
        tunnel_start(t);
        return;
    }
    txn_set_state(t, TXN_EXCHANGE);
    relay_request_push(t);
}

/* ---- failure ---- */

void txn_connect_failed(struct txn *t, int error)
{
    log_debug("connect failed backend=%s error=\"%s\"",
              entry_at(t->worker->table, t->entry)->endpoint, strerror(error));
    attempt_failed(t, CONF_FAILURE_CONNECT, strerror(error));
    go_on(t, CONF_FAILURE_CONNECT);
}

void txn_connect_timeout(struct txn *t)
{
    attempt_failed(t, CONF_FAILURE_TIMEOUT, "connect timeout");
    t->end = "backend timeout";
    go_on(t, CONF_FAILURE_CONNECT);
}

static void resend_on_fresh(struct txn *t)
{
    account_retry(t);
    t->fresh_only = true;
    retry_rewind(t);
    upstream_detach(t, false);
    if (attach(t) == 0) {
        attached(t);
        return;
    }
    attempt_failed(t, CONF_FAILURE_CONNECT, strerror(errno));
    go_on(t, CONF_FAILURE_CONNECT);
}

void txn_upstream_lost(struct txn *t, const char *why)
{
    log_debug("backend connection lost backend=%s reason=\"%s\"",
              entry_at(t->worker->table, t->entry)->endpoint, why);
    bool silent = !t->rbuf || buf_len(t->rbuf) == 0;
    if (t->up->reused && silent && retry_possible(t)) {
        resend_on_fresh(t);
        return;
    }
    attempt_failed(t, CONF_FAILURE_RESET, why);
    t->end = why;
    if (retry_begin(t, CONF_FAILURE_RESET))
        txn_retry(t, false);
    else
        txn_fail(t, 502, "Backend closed the connection");
}

void txn_bad_response(struct txn *t, const char *why)
{
    attempt_failed(t, CONF_FAILURE_RESET, why);
    t->end = why;
    if (retry_begin(t, CONF_FAILURE_RESET))
        txn_retry(t, false);
    else
        txn_fail(t, 502, "Invalid response from backend");
}

void txn_response_timeout(struct txn *t)
{
    attempt_failed(t, CONF_FAILURE_TIMEOUT, "no answer in time");
    t->end = "backend timeout";
    if (retry_begin(t, CONF_FAILURE_TIMEOUT))
        txn_retry(t, false);
    else
        txn_fail(t, 504, "Backend timed out");
}
