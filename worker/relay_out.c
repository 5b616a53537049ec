/* worker/relay_out.c: what waits for the client goes out: as it is, compressed, or by a pipe. */
#include <errno.h>
#include "worker/account.h"
#include "worker/compress.h"
#include "worker/conn.h"
#include "worker/link.h"
#include "worker/relay.h"
#include "worker/splice.h"

static uint32_t in_head(const struct txn *t)
{
    return t->head_out ? buf_len(t->head_out) : 0;
}

uint32_t relay_response_pending(const struct txn *t)
{
    if (UNLIKELY(t->res_out == BODY_DISCARD) && !t->res_done)
        return 0; /* the head waits for the body */
    if (UNLIKELY(t->stored) && !t->res_done)
        return 1; /* or more: from where it lies */
    return in_head(t) + t->res_ready + splice_waiting(t->to_client) +
           compress_waiting(t->compressor);
}

static int send_spliced(struct txn *t)
{
    while (t->to_client) {
        ssize_t n = splice_drain(t->worker, &t->to_client, conn_fd(t->conn), t->res_left > 0);
        if (n == -1)
            return errno == EAGAIN ? 0 : -1;
        account_client_out(t, (uint64_t)n);
    }
    return 1;
}

/* Once: the head, and so much of the body. */
static int send_once(struct txn *t, struct buf *body, uint32_t *ready)
{
    uint32_t head = in_head(t), before = head + *ready;
    ssize_t n = conn_send(t->conn, t->head_out, body, *ready);
    if (n == -1 && errno == EAGAIN) {
        t->client_started |= t->conn->link != NULL; /* a sealed record is on its way */
        return 0;
    }
    if (n == -1)
        return -1;
    t->client_started = true;
    account_client_out(t, (uint64_t)n);
    if ((uint64_t)n > head)
        *ready -= (uint32_t)n - head;
    return (uint64_t)n == before;
}

static int send_compressed(struct txn *t)
{
    for (;;) {
        if (compress_waiting(t->compressor) == 0 && !compress_fill(t)) {
            t->end = "compression failed";
            return -1;
        }
        uint32_t ready = compress_waiting(t->compressor);
        if (in_head(t) + ready == 0)
            return 1;
        int r = send_once(t, t->compressor->out, &ready);
        if (r != 1)
            return r;
    }
}

/* Only the head goes, once the body has come: to those who have the body, or to nobody. */
static void drop_quietly(struct txn *t)
{
    if (t->quiet && t->head_out)
        t->head_out->start = t->head_out->end;
}

int relay_response_send(struct txn *t)
{
    if (UNLIKELY(t->res_out == BODY_DISCARD)) {
        if (!t->res_done)
            return 1;
        drop_quietly(t);
    }
    if (t->to_client) /* then no buffer holds anything */
        return send_spliced(t);
    if (UNLIKELY(t->compressor != NULL))
        return send_compressed(t);
    if (relay_response_batched(t))
        return 1;
    while (in_head(t) + t->res_ready > 0) {
        int r = send_once(t, t->rbuf, &t->res_ready);
        if (r != 1)
            return r;
    }
    return 1;
}
