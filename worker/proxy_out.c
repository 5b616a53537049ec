#include "worker/proxy_out.h"

#include <errno.h>
#include <sys/socket.h>
#include "base/proxy_proto.h"
#include "worker/conn.h"
#include "worker/link.h"
#include "worker/peer.h"
#include "worker/upstream.h"

void proxy_out_know_destination(struct conn *c)
{
    struct net_addr own = {.len_bytes = sizeof own.u};
    if (c->dest.family)
        return;
    if (getsockname(conn_fd(c), &own.u.sa, &own.len_bytes) == -1)
        own.u.sa.sa_family = AF_UNSPEC;
    peer_from_addr(&c->dest, &own);
}

int proxy_out_announce(struct txn *t)
{
    char out[PROXY_PROTO_OUT_MAX];
    struct net_addr from, to;
    peer_to_addr(&t->conn->peer, &from);
    proxy_out_know_destination(t->conn);
    peer_to_addr(&t->conn->dest, &to);
    size_t n = proxy_proto_write(t->pool->conf->proxy_protocol, &from, &to, out);
    /* A request follows at once and goes in the same segment; a tunnel may stay silent. */
    int more = t->conn->protocol == CONF_HTTP ? MSG_MORE : 0;
    ssize_t sent = send(upstream_fd(t->up), out, n, MSG_NOSIGNAL | more);
    if (sent == -1)
        return errno;
    return sent == (ssize_t)n ? 0 : ENOBUFS; /* a new socket has room for more than this */
}

static void let_go(struct upstream *u)
{
    u->keeper->kept = NULL;
    u->keeper = NULL;
}

void proxy_out_drop(struct upstream *u)
{
    let_go(u);
    upstream_close(u);
}

struct upstream *proxy_out_take(struct txn *t, uint32_t incarnation, bool verify)
{
    struct upstream *u = t->conn->kept;
    if (!u || u->entry != t->entry)
        return NULL;
    if (u->incarnation != incarnation ||
        ((verify || u->doubtful) && !link_alive(u->link, upstream_fd(u)))) {
        proxy_out_drop(u);
        return NULL;
    }
    let_go(u);
    return u;
}

void proxy_out_keep(struct txn *t, struct upstream *u)
{
    struct conn *c = t->conn;
    if (t->pool->conf->keepalive == 0 || c->draining || c->state == CONN_CLOSED ||
        t->client_close) {
        upstream_close(u);
        return;
    }
    if (c->kept)
        proxy_out_drop(c->kept);
    c->kept = u;
    u->keeper = c;
    u->reused = true;
    upstream_want(u, EV_READ);
}
