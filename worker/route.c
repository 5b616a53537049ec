#include "worker/route.h"

#include <string.h>
#include "base/hash.h"
#include "worker/auth.h"
#include "worker/compress.h"
#include "worker/edits.h"
#include "worker/key.h"
#include "worker/reply.h"
#include "worker/txn.h"
#include "worker/vars.h"

#define HEAD_BYTES_MAX (64u * 1024) /* limits.header_size is at most that */
#define LOCATION       "Location: "
#define SPLIT_SALT     100u /* one for all: who is in a part stays there while it grows */

static char scratch[3 * HEAD_BYTES_MAX];

/* ---- answers ---- */

/* "//x" at the start of a Location would name another host: what came as a path stays one. */
static uint32_t skip_slashes(const char *location, uint32_t len)
{
    uint32_t n = 0;
    while (n + 1 < len && (location[n] == '/' || location[n] == '\\') &&
           (location[n + 1] == '/' || location[n + 1] == '\\'))
        n++;
    return n;
}

static bool begins_fixed(const struct conf_template *t)
{
    const struct template_part *first = t->parts;
    return t->count &&
           (first->kind == TEMPLATE_SCHEME || (first->kind == TEMPLATE_TEXT && first->len > 1));
}

/* Nor is "http://x" or "javascript:x" of a client an address: a Location that begins with what a
 * client sent is a path. False: no room. */
static bool make_path(struct buf *out, uint32_t from)
{
    uint32_t len = out->end - from, skip = skip_slashes(out->data + from, len);
    memmove(out->data + from, out->data + from + skip, len - skip);
    out->end -= skip;
    if (len > skip && out->data[from] == '/')
        return true;
    if (buf_room(out) == 0)
        return false;
    memmove(out->data + from + 1, out->data + from, len - skip);
    out->data[from] = '/';
    out->end++;
    return true;
}

static bool write_location(struct buf *out, const struct vars *v)
{
    const struct conf_template *to = &v->t->route->location;
    buf_append(out, LOCATION, sizeof LOCATION - 1);
    uint32_t from = out->end;
    if (!vars_append(out, to, v))
        return false;
    if (!begins_fixed(to) && !make_path(out, from))
        return false;
    if (buf_room(out) < 2)
        return false;
    buf_append(out, "\r\n", 2);
    return true;
}

/* An address without a host is none: a client of HTTP/1.0 need not have named one. */
static bool lacks_host(const struct vars *v)
{
    const struct conf_template *to = &v->t->route->location;
    for (uint32_t i = 0; i < to->count && v->head->authority.len == 0; i++)
        if (to->parts[i].kind == TEMPLATE_HOST || to->parts[i].kind == TEMPLATE_AUTHORITY)
            return true;
    return false;
}

static void redirect(struct txn *t, const struct vars *v)
{
    if (lacks_host(v)) {
        txn_fail(t, 400, "No host named");
        return;
    }
    struct buf *b = buf_get(&t->worker->bufs, v->head->head_bytes > BUF_SMALL_BYTES / 4);
    if (!b || !write_location(b, v)) {
        txn_fail(t, b ? 414 : 503, b ? "Request target too long" : "Out of memory");
    } else {
        struct reply r = {.status = t->route->status ? t->route->status : 301,
                          .fields = b->data,
                          .fields_len = b->end,
                          .configured = true};
        reply_send(t, &r);
    }
    buf_put(&v->t->worker->bufs, b);
}

static void respond(struct txn *t)
{
    const struct conf_route *route = t->route;
    if (!route->body && route->respond >= 400) {
        t->end = "respond";
        txn_fail(t, route->respond, http1_reason(route->respond));
        return;
    }
    struct reply r = {.status = route->respond, .configured = true};
    if (route->body) {
        r.content_type = route->content_type ? route->content_type : "text/plain; charset=utf-8";
        r.body = route->body;
        r.body_len = (uint32_t)strlen(route->body);
    }
    reply_send(t, &r);
}

/* ---- the pool ---- */

static uint32_t choose_part(struct txn *t, const struct vars *v)
{
    const struct conf_route *r = t->route;
    uint64_t draw = worker_random(t->worker);
    if (r->split_key) /* mixed once more: the pool may hash the same key */
        draw = hash_mix64(key_hash(t, r->split_key, v->head, v->base) + SPLIT_SALT);
    uint64_t left = (draw >> 32) * r->split_weight >> 32;
    uint32_t i = 0;
    while (i + 1 < r->split_count && left >= r->split[i].weight)
        left -= r->split[i++].weight;
    return r->split[i].pool;
}

/* ---- the target ---- */

static bool append(struct buf *out, const char *bytes, uint32_t len)
{
    if (buf_room(out) < len)
        return false;
    buf_append(out, bytes, len);
    return true;
}

/* The query of the request goes behind one that the rewriting made. */
static bool append_query(struct buf *out, const struct vars *v)
{
    struct http1_span q = v->head->query;
    if (q.len == 0)
        return true;
    bool has_query = memchr(out->data, '?', out->end) != NULL;
    return append(out, has_query ? "&" : "?", 1) && append(out, v->base + q.off, q.len);
}

static bool write_stripped(struct buf *out, const struct vars *v)
{
    const struct route_match *m = v->match;
    uint32_t skip = m->entry->path_len;
    while (skip && m->entry->path[skip - 1] == '/')
        skip--;
    uint32_t len = m->path.literal_len - skip;
    if (len == 0 || m->path.literal[skip] != '/')
        buf_append(out, "/", 1);
    return vars_append_path(out, &m->path, skip, len);
}

/* False: it was answered. */
static bool write_target(struct txn *t, const struct vars *v)
{
    const struct conf_route *r = t->route;
    t->target = buf_get(&t->worker->bufs, v->head->head_bytes > BUF_SMALL_BYTES / 4);
    if (!t->target) {
        txn_fail(t, 503, "Out of memory");
        return false;
    }
    bool written = r->strip_prefix && v->match ? write_stripped(t->target, v)
                                               : vars_append(t->target, &r->rewrite_to, v);
    if (written && append_query(t->target, v))
        return true;
    txn_fail(t, 414, "Request target too long");
    return false;
}

/* ---- the step ---- */

static bool act(struct txn *t, const struct vars *v)
{
    const struct conf_route *r = t->route;
    if (!auth_network_allowed(t, v->head, v->base)) {
        t->end = "network not allowed";
        txn_fail(t, 403, "Forbidden");
        return false;
    }
    if (r->response_edits && !edits_prepare(t, v->head, v->base)) {
        txn_fail(t, 503, "Out of memory");
        return false;
    }
    if (UNLIKELY(r->compress != NULL))
        compress_request(t, v->head, v->base);
    if (r->redirect) {
        redirect(t, v);
    } else if (r->respond) {
        respond(t);
    } else if (r->pool == INDEX_NONE && r->split_count == 0) {
        txn_fail(t, 404, "No route");
    } else {
        t->pool = &t->gen->pools[r->split_count ? choose_part(t, v) : r->pool];
        return !(r->strip_prefix || r->rewrite) || write_target(t, v);
    }
    return false;
}

static bool match(struct txn *t, const struct http1_head *h, const char *base,
                  struct route_match *m)
{
    struct net_addr client;
    struct route_request q = {h, base, NULL, t->gen->regexes, scratch, &t->gen->hosts_seen};
    if (t->listener->routes->asks_client) {
        vars_client(t, h, base, &client);
        q.client = &client;
    }
    switch (route_match(t->listener->routes, &q, m)) {
    case ROUTE_REFUSED: txn_fail(t, 400, "Ambiguous path"); return false;
    case ROUTE_FOUND: t->route = m->route; return true;
    case ROUTE_NONE: break;
    }
    return true;
}

bool step_route(struct txn *t, const struct http1_head *h, const char *base)
{
    struct vars v = {t, h, base, NULL};
    struct route_match m;
    if (t->listener->routes) {
        if (!match(t, h, base, &m))
            return false;
        v.match = &m;
    }
    return act(t, &v);
}
