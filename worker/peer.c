#include "worker/peer.h"

#include <string.h>

void peer_from_addr(struct peer *p, const struct net_addr *a)
{
    memset(p, 0, sizeof *p);
    p->family = AF_UNIX;
    if (a->u.sa.sa_family == AF_INET) {
        p->family = AF_INET;
        memcpy(p->ip, &a->u.in.sin_addr, 4);
        p->port = net_addr_port(a);
    } else if (a->u.sa.sa_family == AF_INET6) {
        bool mapped = IN6_IS_ADDR_V4MAPPED(&a->u.in6.sin6_addr);
        p->family = mapped ? AF_INET : AF_INET6;
        memcpy(p->ip, a->u.in6.sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
        p->port = net_addr_port(a);
    }
}

void peer_to_addr(const struct peer *p, struct net_addr *a)
{
    memset(a, 0, sizeof *a);
    a->u.sa.sa_family = p->family;
    if (p->family == AF_INET) {
        a->len_bytes = sizeof a->u.in;
        a->u.in.sin_port = htons(p->port);
        memcpy(&a->u.in.sin_addr, p->ip, 4);
    } else if (p->family == AF_INET6) {
        a->len_bytes = sizeof a->u.in6;
        a->u.in6.sin6_port = htons(p->port);
        memcpy(&a->u.in6.sin6_addr, p->ip, 16);
    }
}

bool peer_trusted(const struct peer *p, const struct conf_listener *listener)
{
    if (listener->trusted_count == 0)
        return false;
    struct net_addr a;
    peer_to_addr(p, &a);
    for (uint32_t i = 0; i < listener->trusted_count; i++)
        if (net_cidr_match(&listener->trusted[i], &a))
            return true;
    return false;
}

static void write_text(struct peer_memo *m, const struct peer *p)
{
    m->peer = *p;
    m->len = net_ip_format(p->family, p->ip, m->text);
    if (m->len == 0) {
        memcpy(m->text, "unix", 4);
        m->len = 4;
    }
}

const char *peer_text(struct worker *w, const struct peer *p, uint32_t *len)
{
    struct peer_memo *m = &w->peer_memo;
    if (m->peer.family != p->family || memcmp(m->peer.ip, p->ip, sizeof p->ip) != 0)
        write_text(m, p);
    *len = m->len;
    return m->text;
}
