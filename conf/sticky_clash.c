#include "conf/sticky_clash.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "conf/policy.h"
#include "conf/route.h"

/* A pool with a cookie of its own, and a host of a listener that leads there. */
struct claim {
    const struct conf_pool *pool;
    const struct conf_listener *listener;
    const char *host; /* "": any */
};

struct claims {
    struct claim *items;
    uint32_t count, cap;
    bool no_memory;
};

static void claim(struct claims *c, const struct conf *conf, uint32_t pool,
                  const struct conf_listener *l, const char *host)
{
    const struct conf_pool *p = pool < conf->pool_count ? &conf->pools[pool] : NULL;
    if (!p || !p->sticky || p->sticky->type != CONF_STICKY_COOKIE)
        return;
    if (c->count == c->cap) {
        uint32_t cap = c->cap ? 2 * c->cap : 64;
        struct claim *items = realloc(c->items, cap * sizeof *items);
        c->no_memory |= !items;
        if (!items)
            return;
        c->items = items;
        c->cap = cap;
    }
    c->items[c->count++] = (struct claim){p, l, host};
}

static void claim_host(struct claims *c, const struct conf *conf, const struct conf_route *r,
                       const struct conf_listener *l, const char *host)
{
    claim(c, conf, r->pool, l, host);
    for (uint32_t i = 0; i < r->split_count; i++)
        claim(c, conf, r->split[i].pool, l, host);
}

static void claim_routes(struct claims *c, const struct conf *conf, const struct conf_listener *l)
{
    for (uint32_t i = 0; l->routes && i < l->routes->count; i++) {
        const struct conf_route *r = &l->routes->items[i];
        for (uint32_t k = 0; k < r->match.host_count; k++)
            claim_host(c, conf, r, l, r->match.hosts[k]);
        if (r->match.host_count == 0)
            claim_host(c, conf, r, l, "");
    }
    claim(c, conf, l->pool, l, "");
}

/* Those that meet stand side by side. */
static int compare_places(const struct claim *a, const struct claim *b)
{
    int order = a->listener < b->listener ? -1 : a->listener > b->listener;
    order = order ? order : strcmp(a->host, b->host);
    order = order ? order : strcmp(a->pool->sticky->name, b->pool->sticky->name);
    return order ? order : strcmp(a->pool->sticky->path, b->pool->sticky->path);
}

static int compare(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    int order = compare_places(x, y);
    return order ? order : x->pool < y->pool ? -1 : x->pool > y->pool;
}

static void warn(const struct claim *first, const struct claim *other)
{
    const struct conf_pool *a = first->pool, *b = other->pool;
    log_warning("%s:%u: pools.%s: its sticky cookie \"%s\" is that of pools.%s (%s:%u) too, and "
                "both are reached on %s%s of listener %s: each overwrites the other's. Give one "
                "another \"name\" or \"path\"",
                b->pos.file, b->pos.line, b->name, b->sticky->name, a->name, a->pos.file,
                a->pos.line, *first->host ? "host " : "any host", first->host,
                first->listener->name);
}

/* Of those that meet the first is named, and each of the others has one warning. */
static void find_clashes(const struct conf *conf, const struct claims *c, bool *warned)
{
    const struct claim *first = c->items;
    for (uint32_t i = 1; i < c->count; i++) {
        const struct claim *other = &c->items[i];
        size_t pool = (size_t)(other->pool - conf->pools);
        if (compare_places(first, other) != 0) {
            first = other;
        } else if (other->pool != first->pool && !warned[pool]) {
            warned[pool] = true;
            warn(first, other);
        }
    }
}

void sticky_clash_warn(struct walk *w)
{
    const struct conf *conf = w->conf;
    struct claims c = {0};
    for (uint32_t i = 0; i < conf->listener_count; i++)
        if (conf->listeners[i].protocol == CONF_HTTP)
            claim_routes(&c, conf, &conf->listeners[i]);
    bool *warned = c.count > 1 && !c.no_memory ? calloc(conf->pool_count, sizeof *warned) : NULL;
    if (warned) {
        qsort(c.items, c.count, sizeof *c.items, compare);
        find_clashes(conf, &c, warned);
    }
    free(warned);
    free(c.items);
}
