/* health/check_stream.c: a check's connection, plain or inside TLS. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include "base/proxy_proto.h"
#include "health/check.h"
#include "health/tls.h"

struct net_addr check_address(const struct check *c)
{
    struct net_addr a = *c->addr;
    uint16_t port = c->health->port;
    if (port != 0 && a.u.sa.sa_family == AF_INET)
        a.u.in.sin_port = htons(port);
    if (port != 0 && a.u.sa.sa_family == AF_INET6)
        a.u.in6.sin6_port = htons(port);
    return a;
}

void check_host(const struct check *c, char *out, size_t cap)
{
    const char *from = c->endpoint, *colon = strrchr(from, ':');
    size_t len = colon == NULL ? strlen(from) : (size_t)(colon - from);
    if (c->addr->u.sa.sa_family == AF_UNIX)
        len = 0;
    if (len > 1 && from[0] == '[') { /* [::1]:80 */
        from++;
        len -= 2;
    }
    if (len >= cap)
        len = cap - 1;
    memcpy(out, from, len);
    out[len] = '\0';
}

/* ---- opening it ---- */

static void shake_hands(struct check *c)
{
    char why[sizeof(((struct check_result *)0)->reason)];
    switch (tls_handshake(c->tls, why, sizeof(why))) {
    case TLS_DONE: c->opened(c); break;
    case TLS_WANT_READ: check_wait(c, EV_READ, "shaking hands", shake_hands); break;
    case TLS_WANT_WRITE: check_wait(c, EV_WRITE, "shaking hands", shake_hands); break;
    case TLS_FAILED: check_fail(c, (uint32_t)-EPROTO, "tls: %s", why); break;
    }
}

static void secure(struct check *c)
{
    char host[256];
    check_host(c, host, sizeof(host));
    c->tls = tls_new(c->health, host, c->type->alpn, c->fd);
    if (c->tls == NULL)
        check_impossible(c, "no memory for TLS");
    else
        shake_hands(c);
}

/* The connection is there. What it begins with when traffic begins so: a PROXY header that names
 * nobody, for a connection of our own. */
static void begin(struct check *c)
{
    char header[PROXY_PROTO_OUT_MAX];
    if (c->health->proxy != CONF_PROXY_OFF) {
        unsigned version = c->health->proxy == CONF_PROXY_V1 ? 1 : 2;
        uint32_t len = (uint32_t)proxy_proto_write(version, NULL, c->addr, header);
        if (!check_send(c, header, len, begin))
            return;
        c->sent_bytes = 0;
    }
    if (c->health->type == CONF_HEALTH_TLS || c->health->tls)
        secure(c);
    else
        c->opened(c);
}

static void on_connected(struct check *c)
{
    int err = net_connect_result(c->fd);
    c->connected = true;
    if (err != 0)
        check_fail_errno(c, "connect", err);
    else
        begin(c);
}

void check_open(struct check *c, void (*opened)(struct check *c))
{
    const struct conf_health *h = c->health;
    struct net_addr addr = check_address(c);
    c->phase = "connecting";
    c->opened = opened;
    c->fd = net_connect(&addr);
    if (c->fd == -1)
        check_fail_errno(c, "connect", errno);
    else if (h->type == CONF_HEALTH_TLS || h->tls || h->proxy != CONF_PROXY_OFF)
        check_wait(c, EV_WRITE, "connecting", on_connected);
    else
        opened(c);
}

void check_close_tls(struct check *c)
{
    tls_free(c->tls);
    c->tls = NULL;
}

/* ---- using it ---- */

/* As send(2) and recv(2): -1 with errno, EAGAIN to wait. */
static ssize_t send_some(struct check *c, const void *data, uint32_t len)
{
    return c->tls != NULL ? tls_send(c->tls, data, len) : send(c->fd, data, len, MSG_NOSIGNAL);
}

bool check_send(struct check *c, const void *data, uint32_t len, void (*again)(struct check *c))
{
    while (c->sent_bytes < len) {
        ssize_t n = send_some(c, (const char *)data + c->sent_bytes, len - c->sent_bytes);
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1 && errno == EAGAIN) {
            check_wait(c, EV_WRITE, c->connected ? "sending the request" : "connecting", again);
            return false;
        }
        if (n == -1) {
            check_fail_errno(c, c->connected ? "send" : "connect", errno);
            return false;
        }
        c->connected = true;
        c->sent_bytes += (uint32_t)n;
    }
    return true;
}

ssize_t check_recv(struct check *c, void *data, uint32_t cap)
{
    ssize_t n = c->tls != NULL ? tls_recv(c->tls, data, cap) : recv(c->fd, data, cap, 0);
    if (n == -1 && errno != EAGAIN && errno != EINTR)
        check_fail_errno(c, "receive", errno);
    return n;
}
