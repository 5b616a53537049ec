/*
 * worker/dispatch.c: PICK and CONNECT: a backend for the request, and another one when that fails.
 */
#include "worker/dispatch.h"

#include <string.h>
#include "base/log.h"
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/pick.h"
#include "worker/relay.h"
#include "worker/tunnel.h"
#include "worker/txn.h"
#include "worker/upstream.h"

#define ATTEMPTS_MAX 3u /* backends asked for one request */

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
    while (t->attempts < ATTEMPTS_MAX) {
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

void txn_connect_timeout(struct txn *t)
{
    attempt_failed(t, 504, true);
    txn_dispatch(t);
}

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
