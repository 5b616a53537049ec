/* worker/tunnel_batch.c: small chunks of tunnels that may wait for the end of the turn. */
#include <assert.h>
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/tunnel.h"
#include "worker/txn.h"
#include "worker/upstream.h"

static bool may_wait(const struct txn *t, bool to_client)
{
    const struct pipe *piped = to_client ? t->to_client : t->to_backend;
    const struct link *l = to_client ? t->conn->link : t->up->link;
    return !piped && !l && !t->torn;
}

bool tunnel_held(struct txn *t, bool to_client)
{
    struct buf **at = to_client ? &t->rbuf : &t->conn->in;
    int fd = to_client ? conn_fd(t->conn) : upstream_fd(t->up);
    if (!*at || !may_wait(t, to_client) || !batch_tunnel(t, fd, to_client, *at))
        return false;
    *(to_client ? &t->held_out : &t->held_in) = true;
    buf_put(&t->worker->bufs, *at);
    *at = NULL;
    txn_arm(t);
    return true;
}

/* Back to where they would be had they been sent at once. False: no memory. */
static bool put_back(struct txn *t, struct buf **at, const char *rest, uint32_t len)
{
    assert(!*at);
    *at = buf_get(&t->worker->bufs, true);
    if (!*at)
        return false;
    buf_append(*at, rest, len);
    return true;
}

/* Its end is not in the hands of who asks for a flush: who sent the bytes is woken for it. */
static void tear(struct txn *t, bool to_client)
{
    t->torn = true;
    ev_feed_event(t->worker->loop, to_client ? &t->up->io : &t->conn->io, EV_READ);
}

void tunnel_released(struct txn *t, bool to_client, uint32_t sent, const char *rest,
                     uint32_t rest_len)
{
    *(to_client ? &t->held_out : &t->held_in) = false;
    if (to_client)
        account_client_out(t, sent);
    else
        account_backend_out(t, sent);
    if (LIKELY(rest_len == 0))
        return;
    if (t->conn->state != CONN_BUSY) /* it ends: as when its buffers are dropped */
        return;
    if (put_back(t, to_client ? &t->rbuf : &t->conn->in, rest, rest_len))
        tunnel_watch(t);
    else
        tear(t, to_client);
}
