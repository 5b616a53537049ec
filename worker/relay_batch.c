/* worker/relay_batch.c: which messages may wait for the end of the turn (worker/batch.h). */
#include "worker/account.h"
#include "worker/batch.h"
#include "worker/link.h"
#include "worker/relay.h"

static uint32_t len_of(const struct buf *b)
{
    return b ? buf_len(b) : 0;
}

bool relay_request_batched(struct txn *t)
{
    uint32_t bytes = len_of(t->up_head) + t->req_ready;
    if (!t->req_done || !t->req_idempotent || !t->req_replayable || t->req_upgrade || t->sent_any ||
        !t->up->reused || t->up->link ||
        !batch_upstream(t->up, t->up_head, t->conn->in, t->req_ready))
        return false;
    t->req_ready = 0;
    t->sent_any = true;
    account_backend_out(t, bytes);
    return true;
}

bool relay_response_batched(struct txn *t)
{
    uint32_t bytes = len_of(t->head_out) + t->res_ready;
    if (!t->res_done || !t->req_done || t->req_upgrade || t->client_close || t->conn->eof ||
        len_of(t->conn->in) > 0 || !conn_batch(t->conn, t->head_out, t->rbuf, t->res_ready))
        return false;
    t->res_ready = 0;
    t->client_started = true;
    account_client_out(t, bytes);
    return true;
}
