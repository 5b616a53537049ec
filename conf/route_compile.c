/* Everything of a listener's routes that is computed when a configuration is loaded. */
#include <string.h>
#include <strings.h>
#include "conf/auth.h"
#include "conf/compress.h"
#include "conf/route.h"
#include "conf/walk.h"
#include "shm/layout.h"

/* A client must not send what a token or an answer is told by. */
static struct conf_headers claims_of(struct walk *w, const struct conf_auth *guard)
{
    struct conf_headers h = {0};
    uint32_t claims = guard ? guard->jwt.claim_count : 0;
    uint32_t fields = guard ? guard->request.header_count : 0;
    if (claims + fields == 0)
        return h;
    h.remove = ARENA_ARRAY(w->arena, const char *, claims + fields);
    for (uint32_t i = 0; i < claims; i++)
        h.remove[h.remove_count++] = guard->jwt.claims[i].value;
    for (uint32_t i = 0; i < fields; i++)
        h.remove[h.remove_count++] = guard->request.headers[i];
    h.pos = guard->pos;
    return h;
}

static void choose_guard(const struct conf_listener *l, struct conf_route *r)
{
    const struct conf_auth *a = r->auth ? r->auth : l->auth;
    r->guard = a && !a->off ? a : NULL;
}

/* Does what is configured name Accept-Encoding in Vary? Then nothing is to be added. */
static bool names_vary(const struct conf_named *fields, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcasecmp(fields[i].name, "vary") == 0 &&
            (strcasestr(fields[i].value, "accept-encoding") || strchr(fields[i].value, '*')))
            return true;
    return false;
}

static void choose_compression(const struct conf_listener *l, struct conf_route *r)
{
    const struct conf_compression *c = r->compression ? r->compression : l->compression;
    const struct conf_headers *listener = &l->response_headers, *route = &r->response_headers;
    r->compress = c && !c->off ? c : NULL;
    r->says_vary = names_vary(listener->set, listener->set_count) ||
                   names_vary(listener->add, listener->add_count) ||
                   names_vary(route->set, route->set_count) ||
                   names_vary(route->add, route->add_count);
}

static void compile_edits(struct walk *w, const struct conf_listener *l, struct conf_route *r)
{
    choose_guard(l, r);
    choose_compression(l, r);
    struct conf_headers claims = claims_of(w, r->guard);
    const struct conf_headers *request[] = {&claims, &l->request_headers, &r->request_headers};
    const struct conf_headers *response[] = {&l->response_headers, &r->response_headers};
    r->request_edits = route_edits(w, request, 3, true);
    r->response_edits = route_edits(w, response, 2, false);
}

/* A route's own pages come before the listener's. */
static void inherit_pages(struct walk *w, const struct conf_listener *l, struct conf_route *r)
{
    uint32_t count = r->error_page_count + l->error_page_count;
    r->pages = ARENA_ARRAY(w->arena, const struct conf_error_page *, count);
    for (uint32_t i = 0; i < r->error_page_count; i++)
        r->pages[r->page_count++] = &r->error_pages[i];
    for (uint32_t i = 0; i < l->error_page_count; i++)
        r->pages[r->page_count++] = &l->error_pages[i];
}

/* Side requests are HTTP/1.1. */
static void check_side_pool(struct walk *w, uint32_t pool, struct conf_pos pos, const char *what)
{
    const struct conf_pool *p = pool < w->conf->pool_count ? &w->conf->pools[pool] : NULL;
    if (p && p->protocol != CONF_TO_HTTP1)
        walk_error(w, pos, NULL,
                   "%s: pool \"%s\" has protocol = \"%s\", and these requests go over HTTP/1.1",
                   what, p->name, p->protocol == CONF_TO_H2 ? "h2" : "h2c");
}

static void check_side_pools(struct walk *w, const struct conf_route *r)
{
    if (r->mirror != INDEX_NONE)
        check_side_pool(w, r->mirror, r->pos, "mirror");
    if (r->guard && r->guard->request.path)
        check_side_pool(w, r->guard->request.pool, r->guard->pos, "auth.request");
}

/* What no route takes is a route as well, so that nothing else asks whether there are any. */
static void make_fallback(struct walk *w, struct conf_listener *l)
{
    char why[240];
    struct conf_route *r = ARENA_NEW(w->arena, struct conf_route);
    r->pos = l->pos;
    r->pool = l->pool;
    r->match.regex = r->mirror = INDEX_NONE;
    r->index = INDEX_NONE;
    r->redirect = l->redirect;
    if (l->redirect && strcmp(l->redirect, "https") == 0)
        route_https(w->arena, &r->location);
    else if (l->redirect && template_parse(&r->location, w->arena, l->redirect, TEMPLATE_IN_URL, 0,
                                           why, sizeof why) == -1)
        walk_error(w, l->pos, NULL, "listeners.%s.redirect: %s", l->name, why);
    compile_edits(w, l, r);
    inherit_pages(w, l, r);
    check_side_pools(w, r);
    l->fallback = r;
}

static void check_what_to_do(struct walk *w, const struct conf_listener *l)
{
    if (l->pool != INDEX_NONE && l->redirect)
        walk_error(w, l->pos, NULL, "listeners.%s: has both \"pool\" and \"redirect\": keep one",
                   l->name);
}

void route_compile(struct walk *w, struct conf_listener *l)
{
    if (l->protocol != CONF_HTTP)
        return;
    check_what_to_do(w, l);
    make_fallback(w, l);
    if (!l->routes || l->routes->count == 0 || w->errors->count)
        return; /* half-read routes are not worth more complaints */
    for (uint32_t i = 0; i < l->routes->count; i++) {
        compile_edits(w, l, &l->routes->items[i]);
        inherit_pages(w, l, &l->routes->items[i]);
        check_side_pools(w, &l->routes->items[i]);
    }
    route_index(w, l->routes);
    route_shadows(w, l->routes);
}
