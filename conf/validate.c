#include "conf/validate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf/sni.h"
#include "conf/auth.h"
#include "conf/route.h"
#include "conf/sticky_clash.h"
#include "shm/layout.h"

/* ---- derived defaults ---- */

static void derive(struct conf *c, uint32_t pool, enum conf_health_type type)
{
    if (pool < c->pool_count && (unsigned)c->pools[pool].health.type == UINT32_MAX)
        c->pools[pool].health.type = type;
}

/* Those of tcp listeners, which may use several, and then those of udp. */
static void derive_others(struct conf *c)
{
    for (uint32_t i = 0; i < c->listener_count; i++) {
        const struct conf_listener *l = &c->listeners[i];
        if (l->protocol == CONF_TCP)
            derive(c, l->pool, CONF_HEALTH_TCP);
        for (uint32_t r = 0; l->sni && r < l->sni->count; r++)
            derive(c, l->sni->rules[r].pool, CONF_HEALTH_TCP);
    }
    for (uint32_t i = 0; i < c->listener_count; i++)
        if (c->listeners[i].protocol == CONF_UDP)
            derive(c, c->listeners[i].pool, CONF_HEALTH_UDP);
}

/* An http listener decides; tcp only stands while no other said anything. */
static void gets_requests(struct conf *c, uint32_t pool)
{
    if (pool >= c->pool_count)
        return;
    struct conf_pool *p = &c->pools[pool];
    if ((unsigned)p->health.type == UINT32_MAX)
        p->health.type = p->protocol == CONF_TO_HTTP1 ? CONF_HEALTH_HTTP : CONF_HEALTH_TCP;
}

static void route_gets_requests(struct conf *c, const struct conf_route *r)
{
    gets_requests(c, r->pool);
    for (uint32_t i = 0; i < r->split_count; i++)
        gets_requests(c, r->split[i].pool);
    gets_requests(c, r->mirror);
    if (r->auth && r->auth->request.path)
        gets_requests(c, r->auth->request.pool);
}

/* What speaks TLS is checked in TLS, unless the check has a port of its own or says otherwise. */
static void derive_health_tls(const struct conf_pool *p, struct conf_health *h)
{
    size_t row = (size_t)(rows_find(&conf_section_health, "tls") - conf_section_health.rows);
    bool said = h->said && h->said[row].file;
    if (said || h->port ||
        (h->type != CONF_HEALTH_HTTP && h->type != CONF_HEALTH_TCP && h->type != CONF_HEALTH_GRPC))
        return;
    h->tls = true;
    if (!*h->sni)
        h->sni = p->tls->sni;
}

static void derive_tls(struct conf_pool *p)
{
    if (!p->tls)
        return;
    derive_health_tls(p, &p->health);
    for (uint32_t i = 0; i < p->backend_count; i++)
        if (p->backends[i].health)
            derive_health_tls(p, p->backends[i].health);
}

static void check_pool_protocol(struct walk *w, const struct conf_pool *p)
{
    if (p->protocol == CONF_TO_H2 && !p->tls)
        walk_error(w, p->pos, NULL,
                   "pools.%s: protocol = \"h2\" needs \"tls\"; without TLS it is \"h2c\"", p->name);
    if (p->protocol == CONF_TO_H2C && p->tls)
        walk_error(w, p->pos, NULL, "pools.%s: with \"tls\", protocol = \"h2c\" is \"h2\"",
                   p->name);
    if (p->protocol != CONF_TO_HTTP1 && p->proxy_protocol != CONF_PROXY_OFF)
        walk_error(
            w, p->pos, NULL,
            "pools.%s: \"proxy_protocol\" names one client, and HTTP/2 connections are shared",
            p->name);
}

/* A name to ask for, and to find in the certificate. */
static void check_pool_tls(struct walk *w, const struct conf_pool *p)
{
    for (uint32_t i = 0; p->tls && p->tls->verify && !*p->tls->sni && i < p->backend_count; i++)
        if (p->backends[i].addr.u.sa.sa_family == AF_UNIX)
            walk_error(w, p->backends[i].pos, NULL,
                       "pools.%s: \"%s\" has no name to verify: set tls.sni", p->name,
                       p->backends[i].address);
}

void validate_derive(struct conf *c)
{
    for (uint32_t i = 0; i < c->listener_count; i++) {
        const struct conf_listener *l = &c->listeners[i];
        if (l->protocol != CONF_HTTP)
            continue;
        gets_requests(c, l->pool);
        for (uint32_t r = 0; l->routes && r < l->routes->count; r++)
            route_gets_requests(c, &l->routes->items[r]);
    }
    derive_others(c);
    for (uint32_t i = 0; i < c->pool_count; i++)
        if ((unsigned)c->pools[i].health.type == UINT32_MAX)
            c->pools[i].health.type = CONF_HEALTH_HTTP;
    for (uint32_t i = 0; i < c->pool_count; i++)
        derive_tls(&c->pools[i]);
}

/* ---- binds ---- */

/* A bind and who says it. */
struct claim {
    const struct conf_bind *bind;
    const char *listener; /* NULL: admin */
    uint32_t order;
};

static uint32_t count_binds(const struct conf *c)
{
    uint32_t count = c->admin.bind_count;
    for (uint32_t i = 0; i < c->listener_count; i++)
        count += c->listeners[i].bind_count;
    return count;
}

static uint32_t add_claims(struct claim *claims, uint32_t count, const struct conf_bind *binds,
                           uint32_t bind_count, const char *listener)
{
    for (uint32_t i = 0; i < bind_count; i++, count++)
        claims[count] = (struct claim){&binds[i], listener, count};
    return count;
}

/* Unix sockets first, then by port; among equals as they came. */
static int compare_claims(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    int x_port = net_addr_port(&x->bind->addr), y_port = net_addr_port(&y->bind->addr);
    if (x_port != y_port)
        return x_port - y_port;
    return x->order < y->order ? -1 : 1;
}

enum { V4 = 1, V6 = 2 };

/* Which families a bind takes: "*" is both, "[::]" is IPv6 alone (beside "0.0.0.0"). */
static unsigned families(const struct conf_bind *b)
{
    if (b->addr.u.sa.sa_family == AF_INET || IN6_IS_ADDR_V4MAPPED(&b->addr.u.in6.sin6_addr))
        return V4;
    return b->text[0] == '*' ? V4 | V6 : V6;
}

static bool clash(const struct conf_bind *a, const struct conf_bind *b)
{
    if (a->datagram != b->datagram)
        return false;
    if (net_addr_equal(&a->addr, &b->addr) && a->text[0] != '*' && b->text[0] != '*')
        return true;
    if (a->addr.u.sa.sa_family == AF_UNIX || b->addr.u.sa.sa_family == AF_UNIX)
        return false;
    if (!(families(a) & families(b)))
        return false;
    return net_addr_is_wildcard(&a->addr) || net_addr_is_wildcard(&b->addr);
}

static const char *claimant(const struct claim *c, char *out, size_t cap)
{
    if (!c->listener)
        return "admin";
    snprintf(out, cap, "listeners.%.63s", c->listener);
    return out;
}

static void report_clash(struct walk *w, const struct claim *first, const struct claim *second)
{
    char a[NAME_MAX_BYTES + 16], b[NAME_MAX_BYTES + 16];
    struct conf_pos at = first->bind->pos;
    const char *where = arena_printf(w->scratch, " at %s:%u", at.file, at.line);
    walk_error(w, second->bind->pos, NULL, "%s: \"%s\" clashes with \"%s\" of %s%s",
               claimant(second, a, sizeof a), second->bind->text, first->bind->text,
               claimant(first, b, sizeof b), at.line ? where : "");
}

static void check_binds(struct walk *w, const struct conf *c)
{
    uint32_t count = 0, total = count_binds(c);
    if (total == 0)
        return;
    struct claim *claims = ARENA_ARRAY(w->scratch, struct claim, total);
    count = add_claims(claims, count, c->admin.binds, c->admin.bind_count, NULL);
    for (uint32_t i = 0; i < c->listener_count; i++)
        count = add_claims(claims, count, c->listeners[i].binds, c->listeners[i].bind_count,
                           c->listeners[i].name);
    qsort(claims, count, sizeof *claims, compare_claims);
    for (uint32_t i = 1; i < count; i++) {
        uint16_t port = net_addr_port(&claims[i].bind->addr);
        for (uint32_t j = i; j > 0 && net_addr_port(&claims[j - 1].bind->addr) == port; j--) {
            if (clash(claims[j - 1].bind, claims[i].bind)) {
                report_clash(w, &claims[j - 1], &claims[i]);
                break;
            }
        }
    }
}

/* ---- the rest ---- */

static void check_admin(struct walk *w, const struct conf_admin *admin)
{
    for (uint32_t i = 0; i < admin->bind_count && !*admin->token_file; i++)
        if (!net_addr_is_loopback(&admin->binds[i].addr))
            walk_error(
                w, admin->binds[i].pos, NULL,
                "admin: \"%s\" can be reached from elsewhere: set \"token_file\", or bind to "
                "127.0.0.1 or a unix socket",
                admin->binds[i].text);
}

static void check_health_address(struct walk *w, const struct conf_pool *p,
                                 const struct conf_backend *b)
{
    const struct conf_health *h = b->health ? b->health : &p->health;
    if (b->addr.u.sa.sa_family != AF_UNIX)
        return;
    if (h->port)
        walk_error(w, b->pos, NULL, "pools.%s: \"%s\" is a unix socket, and health.port is set",
                   p->name, b->address);
    if (h->type == CONF_HEALTH_UDP)
        walk_error(w, b->pos, NULL, "pools.%s: \"%s\" is a unix socket, and health.type is udp",
                   p->name, b->address);
}

/* Believing everybody is a choice to be written down. */
static void check_proxy_protocol(struct walk *w, const struct conf_listener *l)
{
    bool ip = false;
    for (uint32_t i = 0; i < l->bind_count; i++)
        ip |= l->binds[i].addr.u.sa.sa_family != AF_UNIX;
    if (l->proxy_protocol && l->trusted_count == 0 && ip)
        walk_error(w, l->pos, NULL,
                   "listeners.%s: proxy_protocol needs \"trusted\", the networks whose headers are "
                   "believed: nobody else may connect",
                   l->name);
}

/* One decrypts, the other only looks. */
static void check_sni(struct walk *w, const struct conf_listener *l)
{
    if (l->sni && l->tls)
        walk_error(w, l->pos, NULL,
                   "listeners.%s: \"sni\" passes TLS on untouched and \"tls\" ends it: one of them",
                   l->name);
}

static void check_balance(struct walk *w, const struct conf_pool *p)
{
    if (p->max_load_milli && !conf_algorithm_hashes(p->balance))
        walk_error(w, p->pos, NULL,
                   "pools.%s: \"max_load\" bounds what a hash algorithm does, and balance is "
                   "\"%s\"",
                   p->name, p->balance);
    if (p->slow_start_ms && !conf_algorithm_weighs(p->balance))
        walk_error(w, p->pos, NULL,
                   "pools.%s: \"slow_start\" means nothing to balance = \"%s\": use "
                   "weighted_round_robin, random, power_of_two or one that goes by load",
                   p->name, p->balance);
}

/* The first setting of a pool, inherited ones aside, that means nothing to datagrams; or NULL. */
static const char *no_udp_setting(const struct conf_pool *p, const struct conf_pool *inherited)
{
    const struct conf_timeouts *t = &p->timeouts, *i = &inherited->timeouts;
    if (p->sticky && p->sticky != inherited->sticky && p->sticky->type != CONF_STICKY_CLIENT_IP)
        return "sticky that is not by client_ip";
    if (p->queue.size && p->queue.size != inherited->queue.size)
        return "queue";
    if (p->rate_limit_count)
        return "rate_limit";
    if (memcmp(&p->retry, &inherited->retry, sizeof p->retry) != 0)
        return "retry";
    if (p->keepalive != inherited->keepalive ||
        p->keepalive_idle_ms != inherited->keepalive_idle_ms ||
        p->keepalive_requests != inherited->keepalive_requests)
        return "keepalive";
    if (strcmp(p->hash_key, inherited->hash_key) != 0 && strcmp(p->hash_key, "client_ip") != 0)
        return "hash_key";
    if (t->connect_ms != i->connect_ms || t->send_ms != i->send_ms || t->read_ms != i->read_ms)
        return "timeouts";
    return NULL;
}

static void check_udp_pool(struct walk *w, const struct conf_listener *l, const struct conf_pool *p)
{
    const char *what = p->tls                         ? "tls"
                       : p->proxy_protocol            ? "proxy_protocol"
                       : p->protocol != CONF_TO_HTTP1 ? "protocol"
                                                      : no_udp_setting(p, &w->pool_defaults);
    if (what)
        walk_error(w, l->pos, NULL, "listeners.%s: pool %s has %s, which udp has not", l->name,
                   p->name, what);
}

/* Datagrams go between IP addresses, and a header before the first of them has no place. */
static void check_udp(struct walk *w, const struct conf *c, const struct conf_listener *l)
{
    if (l->protocol != CONF_UDP)
        return;
    for (uint32_t i = 0; i < l->bind_count; i++)
        if (l->binds[i].addr.u.sa.sa_family == AF_UNIX)
            walk_error(w, l->binds[i].pos, NULL,
                       "listeners.%s: \"%s\": udp needs an IP address and a port", l->name,
                       l->binds[i].text);
    if (l->pool >= c->pool_count)
        return;
    const struct conf_pool *p = &c->pools[l->pool];
    check_udp_pool(w, l, p);
    for (uint32_t i = 0; i < p->backend_count; i++)
        if (p->backends[i].addr.u.sa.sa_family == AF_UNIX)
            walk_error(w, p->backends[i].pos, NULL,
                       "pools.%s: \"%s\" is a unix socket, and listener %s sends datagrams",
                       p->name, p->backends[i].address, l->name);
}

/* At most an eighth of all the room for one; and what is no request has no response. */
static void check_cache(struct walk *w, const struct conf *c)
{
    if (c->cache.wanted && c->cache.object_bytes > c->cache.size_bytes / 8)
        walk_error(w, (struct conf_pos){c->path, 0}, NULL,
                   "cache: object_size is more than an eighth of size");
    for (uint32_t i = 0; i < c->listener_count; i++) {
        const struct conf_listener *l = &c->listeners[i];
        const struct conf_pool *p = l->pool < c->pool_count ? &c->pools[l->pool] : NULL;
        if (l->protocol != CONF_HTTP && p && p->cache && !p->cache->off &&
            p->cache != w->pool_defaults.cache)
            walk_error(w, l->pos, NULL,
                       "listeners.%s: pool %s has \"cache\", which means nothing with protocol = "
                       "\"%s\"",
                       l->name, p->name, conf_protocol_name(l->protocol));
    }
}

void validate_conf(struct walk *w)
{
    const struct conf *c = w->conf;
    check_binds(w, c);
    check_admin(w, &c->admin);
    check_cache(w, c);
    for (uint32_t i = 0; i < c->pool_count; i++)
        check_balance(w, &c->pools[i]);
    for (uint32_t i = 0; i < c->pool_count; i++)
        for (uint32_t b = 0; b < c->pools[i].backend_count; b++)
            check_health_address(w, &c->pools[i], &c->pools[i].backends[b]);
    for (uint32_t i = 0; i < c->listener_count; i++)
        check_proxy_protocol(w, &c->listeners[i]);
    for (uint32_t i = 0; i < c->listener_count; i++)
        check_sni(w, &c->listeners[i]);
    for (uint32_t i = 0; i < c->pool_count; i++)
        check_pool_tls(w, &c->pools[i]);
    for (uint32_t i = 0; i < c->pool_count; i++)
        check_pool_protocol(w, &c->pools[i]);
    for (uint32_t i = 0; i < c->listener_count; i++)
        check_udp(w, c, &c->listeners[i]);
    if (w->errors->count == 0)
        sticky_clash_warn(w);
}
