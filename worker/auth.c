#include "worker/auth.h"

#include <string.h>
#include <strings.h>
#include "conf/auth.h"
#include "conf/route.h"
#include "worker/vars.h"

bool step_auth(struct txn *t, const struct http1_head *h, const char *base)
{
    const struct conf_auth *a = t->route->guard;
    if (__builtin_expect(!a, 1))
        return true;
    if (a->request.path)
        return auth_request(t, h, base);
    return a->basic ? auth_basic(t, h, base) : auth_jwt(t, h, base);
}

static bool is_in(const struct net_cidr *networks, uint32_t count, const struct net_addr *a)
{
    for (uint32_t i = 0; i < count; i++)
        if (net_cidr_match(&networks[i], a))
            return true;
    return false;
}

/* Who is denied is denied; then, where some are allowed, nobody else is. */
static bool passes(const struct conf_networks *n, const struct net_addr *client)
{
    if (is_in(n->deny, n->deny_count, client))
        return false;
    return n->allow_count == 0 || is_in(n->allow, n->allow_count, client);
}

static bool asks(const struct conf_networks *n)
{
    return n->allow_count || n->deny_count;
}

bool auth_network_allowed(const struct txn *t, const struct http1_head *h, const char *base)
{
    const struct conf_networks *listener = &t->listener->networks, *route = &t->route->networks;
    if (__builtin_expect(!asks(listener) && !asks(route), 1))
        return true;
    struct net_addr client;
    vars_client(t, h, base, &client);
    return passes(listener, &client) && passes(route, &client);
}

/* Of two, the one that is checked here need not be the one that the backend reads. */
static const struct http1_header *find_only(const struct http1_head *h)
{
    const struct http1_header *found = NULL;
    for (uint32_t i = 0; h->present & 1ull << HTTP1_H_AUTHORIZATION && i < h->count; i++) {
        if (h->headers[i].id != HTTP1_H_AUTHORIZATION)
            continue;
        if (found)
            return NULL;
        found = &h->headers[i];
    }
    return found;
}

const char *auth_credentials(const struct http1_head *h, const char *base, const char *scheme,
                             uint32_t *len)
{
    const struct http1_header *f = find_only(h);
    uint32_t n = (uint32_t)strlen(scheme);
    if (!f || f->value.len <= n + 1 || strncasecmp(base + f->value.off, scheme, n) != 0 ||
        base[f->value.off + n] != ' ')
        return NULL;
    const char *at = base + f->value.off + n, *end = base + f->value.off + f->value.len;
    while (at < end && *at == ' ')
        at++;
    *len = (uint32_t)(end - at);
    return *len ? at : NULL;
}
