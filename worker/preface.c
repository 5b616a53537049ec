#include "worker/preface.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "base/log.h"
#include "base/proxy_proto.h"
#include "conf/sni.h"
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/link.h"
#include "worker/peer.h"
#include "worker/txn_start.h"

/* Said once a second, however many come: it is a mistake in a configuration, or an attack. */
static void refuse(struct conn *c, const char *why)
{
    struct worker *w = c->worker;
    account_refused(w, c->listener_row);
    if (c->state == CONN_PROXY && w->now_us - w->refused_us >= 1000000u) {
        char text[NET_ADDR_STRLEN];
        struct net_addr a;
        peer_to_addr(&c->peer, &a);
        log_warning("connection refused: listener=%s peer=%s reason=\"%s\"",
                    w->table->listeners[c->listener_row].name,
                    net_addr_format(&a, text, sizeof text), why);
        w->refused_us = w->now_us;
    }
    conn_reset(c, why);
}

void preface_begin(struct conn *c, const struct conf_listener *listener)
{
    c->state = CONN_PROXY;
    /* who may open the unix socket decides its mode */
    if (c->peer.family != AF_UNIX && !peer_trusted(&c->peer, listener))
        refuse(c, "PROXY protocol from an address that is not trusted");
    else
        conn_deadline(c, listener->timeouts.header_ms);
}

static void header_complete(struct conn *c, const struct proxy_proto *head)
{
    buf_put(&c->worker->bufs, c->in);
    c->in = NULL;
    if (!head->local) {
        peer_from_addr(&c->peer, &head->from);
        peer_from_addr(&c->dest, &head->to);
    }
    conn_begin(c, conn_listener(c));
}

/* Takes n bytes that were seen already. */
static bool take(struct conn *c, uint32_t n)
{
    ssize_t got;
    do
        got = recv(conn_fd(c), c->in->data + c->in->end, n, 0);
    while (got == -1 && errno == EINTR);
    c->in->end += n;
    return got == (ssize_t)n;
}

static ssize_t peek(struct conn *c)
{
    ssize_t n;
    do
        n = recv(conn_fd(c), c->in->data + c->in->end, buf_room(c->in), MSG_PEEK);
    while (n == -1 && errno == EINTR);
    return n;
}

void preface_readable(struct conn *c)
{
    if (!buf_reserve(&c->worker->bufs, &c->in, 1)) {
        conn_close(c, "out of memory");
        return;
    }
    ssize_t n = peek(c);
    if (n == -1 && errno == EAGAIN)
        return;
    if (n <= 0) {
        conn_close(c, n == 0 ? "client closed before a PROXY header" : "client reset");
        return;
    }
    struct proxy_proto head;
    uint32_t before = buf_len(c->in);
    enum proxy_proto_result r = proxy_proto_read(buf_at(c->in), before + (size_t)n, &head);
    if (r == PROXY_PROTO_ERROR)
        refuse(c, head.error);
    else if (!take(c, r == PROXY_PROTO_DONE ? head.len_bytes - before : (uint32_t)n))
        conn_close(c, "client reset");
    else if (r == PROXY_PROTO_DONE)
        header_complete(c, &head);
}

void preface_timeout(struct conn *c)
{
    refuse(c, c->state == CONN_PROXY ? "no PROXY header in time" : "no ClientHello in time");
}

/* ---- the ClientHello ---- */

void preface_hello_begin(struct conn *c, const struct conf_listener *listener)
{
    c->state = CONN_HELLO;
    conn_deadline(c, listener->timeouts.header_ms);
}

static void choose(struct conn *c, uint32_t pool)
{
    if (pool == INDEX_NONE)
        refuse(c, "no pool for what this client asks for");
    else
        txn_start_tcp(c, pool);
}

static void hello_look(struct conn *c)
{
    const struct conf_listener *listener = conn_listener(c);
    struct client_hello hello;
    uint32_t pool;
    switch (client_hello_read(&hello, buf_at(c->in), buf_len(c->in))) {
    case CLIENT_HELLO_MORE: break;
    case CLIENT_HELLO_ERROR: refuse(c, hello.error); break;
    case CLIENT_HELLO_NONE: choose(c, listener->pool); break;
    case CLIENT_HELLO_DONE:
        pool = sni_find(listener->sni, &hello);
        choose(c, pool != INDEX_NONE ? pool : listener->pool);
        break;
    }
}

void preface_hello_readable(struct conn *c)
{
    if (!buf_reserve(&c->worker->bufs, &c->in, 1)) {
        conn_close(c, "out of memory");
        return;
    }
    ssize_t n = conn_recv(c, c->in);
    if (n > 0)
        hello_look(c);
    else if (n == 0)
        conn_close(c, "client closed within a ClientHello");
    else if (errno != EAGAIN)
        conn_close(c, "client reset");
}
