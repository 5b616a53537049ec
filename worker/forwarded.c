#include "worker/forwarded.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "worker/buf.h"
#include "worker/peer.h"

#define OWN_BYTES 128u /* all but the host */

bool forwarded_drops(const struct txn *t)
{
    switch (t->listener->forwarded) {
    case CONF_FORWARDED_TRUSTED: return !peer_trusted(&t->conn->peer, t->listener);
    case CONF_FORWARDED_PASS: return false;
    default: return true; /* written anew, or not there */
    }
}

uint32_t forwarded_bytes(const struct txn *t, const struct http1_head *h)
{
    bool ours = t->listener->forwarded == CONF_FORWARDED_SET;
    return ours ? OWN_BYTES + h->authority.len : 0;
}

/* Values of several fields are one list. */
static void append_theirs(struct buf *out, const struct http1_head *h, const char *base)
{
    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        if (f->id != HTTP1_H_FORWARDED || f->value.len == 0)
            continue;
        buf_append(out, base + f->value.off, f->value.len);
        buf_append(out, ", ", 2);
    }
}

/* A node (RFC 7239 6); who came over a unix socket has no address. */
static int format_node(const struct peer *p, char *out, size_t cap)
{
    char ip[INET6_ADDRSTRLEN];
    if (net_ip_format(p->family, p->ip, ip) == 0)
        return snprintf(out, cap, "for=unknown");
    return snprintf(out, cap, p->family == AF_INET6 ? "for=\"[%s]\"" : "for=%s", ip);
}

/* Within quotes; one that would need escapes is not said. */
static void append_host(struct buf *out, const char *host, uint32_t len)
{
    if (len == 0 || memchr(host, '"', len) || memchr(host, '\\', len))
        return;
    buf_append(out, ";host=\"", 7);
    buf_append(out, host, len);
    buf_append(out, "\"", 1);
}

void forwarded_append(const struct txn *t, struct buf *out, const struct http1_head *h,
                      const char *base)
{
    char node[OWN_BYTES / 2];
    int len = format_node(&t->conn->peer, node, sizeof node);
    buf_append(out, "Forwarded: ", 11);
    if (h->present & 1ull << HTTP1_H_FORWARDED && peer_trusted(&t->conn->peer, t->listener))
        append_theirs(out, h, base);
    buf_append(out, node, (uint32_t)len);
    append_host(out, base + h->authority.off, h->authority.len);
    const char *proto = t->conn->secure ? ";proto=https\r\n" : ";proto=http\r\n";
    buf_append(out, proto, (uint32_t)strlen(proto));
}
