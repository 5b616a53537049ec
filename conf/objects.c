/* How named things and backends are read: listeners, pools, admin, defaults. */
#include <inttypes.h>
#include <string.h>
#include "conf/route.h"
#include "conf/source.h"
#include "conf/suggest.h"
#include "conf/types.h"
#include "shm/layout.h"

/* Behind a name that cannot be looked up now. */
#define LATER_HINT                                                                                 \
    ". To start without it, and look it up again and again: { address = \"...\", resolve = "       \
    "\"10s\" }"

#define IDLE_HTTP_MS 60000u
#define IDLE_TCP_MS  3600000u
#define IDLE_UDP_MS  30000u

static void check_name(struct walk *w, const struct node *n, const struct walk_at *at)
{
    if (strlen(n->name) >= NAME_MAX_BYTES)
        walk_error(w, n->pos, at, "the name is longer than %u bytes", NAME_MAX_BYTES - 1);
}

/* A group of named things, at most `max` of them; false after a complaint. */
static bool check_things(struct walk *w, const struct node *n, const struct walk_at *at,
                         uint32_t max)
{
    if (n->kind != NODE_GROUP)
        walk_error_kind(w, n, at, "a group { } of groups by name");
    else if (n->count > max)
        walk_error(w, n->pos, at, "holds %" PRIu32 ", and %" PRIu32 " is the most", n->count, max);
    return n->kind == NODE_GROUP && n->count <= max;
}

/* ---- listeners ---- */

static const struct node *find_child(const struct node *n, const char *name)
{
    for (uint32_t i = 0; n->kind == NODE_GROUP && i < n->count; i++)
        if (strcmp(n->children[i].name, name) == 0)
            return &n->children[i];
    return NULL;
}

/* The protocol decides what else may be said, wherever it stands. */
static enum conf_protocol protocol_of(const struct walk *w, const struct node *n)
{
    const struct node *protocol = find_child(n, "protocol");
    if (!protocol || protocol->kind != NODE_STRING)
        return w->listener_defaults.protocol;
    if (strcmp(protocol->text, "udp") == 0)
        return CONF_UDP;
    return strcmp(protocol->text, "tcp") == 0 ? CONF_TCP : CONF_HTTP;
}

unsigned types_listener_kind(const struct conf_listener *l)
{
    static const unsigned kinds[] = {
        [CONF_HTTP] = CONF_KIND_HTTP, [CONF_TCP] = CONF_KIND_TCP, [CONF_UDP] = CONF_KIND_UDP};
    return kinds[l->protocol] | (l->proxy_protocol ? CONF_KIND_PROXY : 0u) |
           (l->sni || l->tls ? CONF_KIND_SNI : 0u);
}

/* What it is going to be. */
static unsigned kind_of(const struct walk *w, const struct node *n)
{
    struct conf_listener l = w->listener_defaults;
    const struct node *proxy = find_child(n, "proxy_protocol");
    l.protocol = protocol_of(w, n);
    if (proxy)
        l.proxy_protocol = proxy->kind == NODE_BOOL && proxy->number;
    l.proxy_protocol &= l.protocol != CONF_UDP;
    return types_listener_kind(&l) |
           (find_child(n, "sni") || find_child(n, "tls") ? CONF_KIND_SNI : 0u);
}

/* Somewhere traffic must go. */
static void check_destination(struct walk *w, const struct node *n, const struct walk_at *at)
{
    static const char *const destinations[] = {"pool", "sni", "routes", "redirect"};
    for (size_t i = 0; i < ARRAY_LEN(destinations); i++)
        if (n->kind != NODE_GROUP || find_child(n, destinations[i]))
            return;
    walk_error(w, n->pos, at, "\"pool\" is missing");
}

static void read_listener(struct walk *w, const struct node *n, const struct walk_at *at,
                          struct conf_listener *l)
{
    *l = w->listener_defaults;
    l->name = arena_strdup(w->arena, n->name);
    l->name_len = (uint32_t)strlen(l->name);
    l->pos = walk_keep_pos(w, n->pos);
    l->row = l->pool = INDEX_NONE;
    check_name(w, n, at);
    w->kind = kind_of(w, n);
    walk_group(w, n, at, &(struct walk_target){&conf_section_listener, (char *)l}, 1);
    w->kind = 0;
    if (l->protocol == CONF_UDP)
        l->proxy_protocol = false; /* inherited */
    for (uint32_t i = 0; i < l->bind_count; i++)
        l->binds[i].datagram = l->protocol == CONF_UDP;
    check_destination(w, n, at);
    route_compile(w, l);
    access_resolve(l);
    if (l->timeouts.idle_ms == UINT32_MAX)
        l->timeouts.idle_ms = l->protocol == CONF_TCP   ? IDLE_TCP_MS
                              : l->protocol == CONF_UDP ? IDLE_UDP_MS
                                                        : IDLE_HTTP_MS;
}

void object_read_listeners(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                           const struct walk_at *at, void *field UNUSED)
{
    struct conf *c = w->conf;
    if (!check_things(w, n, at, LISTENER_MAX))
        return;
    if (n->count == 0)
        walk_error(w, n->pos, at, "is empty: nothing would be served");
    c->listeners = ARENA_ARRAY(w->arena, struct conf_listener, n->count);
    for (uint32_t i = 0; i < n->count; i++) {
        struct walk_at below = {.up = at, .name = n->children[i].name};
        read_listener(w, &n->children[i], &below, &c->listeners[i]);
        c->listener_count++;
    }
}

void object_read_pool(struct walk *w, const struct conf_row *row, const struct node *n,
                      const struct walk_at *at, void *field)
{
    if (n->kind != NODE_STRING) {
        walk_error_kind(w, n, at, "the name of a pool");
        return;
    }
    uint32_t index = names_find(&w->pools, 0, n->text);
    if (index != NAMES_NONE) {
        types_set(field, row->width, index);
        return;
    }
    struct suggest s;
    suggest_init(&s, n->text);
    for (uint32_t i = 0; i < w->conf->pool_count; i++)
        suggest_offer(&s, w->conf->pools[i].name);
    walk_error(w, n->pos, at, "there is no pool \"%.63s\"%s", n->text, walk_hint(w, s.best));
}

/* ---- pools ---- */

/* A pool's settings in an order in which its backends can inherit from the rest. */
static struct node backends_last(struct walk *w, const struct node *n)
{
    struct node sorted = *n;
    uint32_t out = 0;
    if (n->kind != NODE_GROUP || n->count == 0)
        return sorted;
    sorted.children = ARENA_ARRAY(w->scratch, struct node, n->count);
    for (unsigned last = 0; last < 2; last++)
        for (uint32_t i = 0; i < n->count; i++)
            if ((strcmp(n->children[i].name, "backends") == 0) == (last == 1))
                sorted.children[out++] = n->children[i];
    return sorted;
}

void object_read_pools(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                       const struct walk_at *at, void *field UNUSED)
{
    struct conf *c = w->conf;
    if (!check_things(w, n, at, POOL_MAX))
        return;
    c->pools = ARENA_ARRAY(w->arena, struct conf_pool, n->count);
    for (uint32_t i = 0; i < n->count; i++) {
        const struct node *child = &n->children[i];
        struct walk_at below = {.up = at, .name = child->name};
        struct conf_pool *p = &c->pools[c->pool_count++];
        *p = w->pool_defaults;
        p->name = arena_strdup(w->arena, child->name);
        p->name_len = (uint32_t)strlen(p->name);
        p->pos = walk_keep_pos(w, child->pos);
        p->row = INDEX_NONE;
        check_name(w, child, &below);
        names_add(&w->pools, 0, p->name, i);
        struct node sorted = backends_last(w, child);
        w->pool = p;
        walk_group(w, &sorted, &below, &(struct walk_target){&conf_section_pool, (char *)p}, 1);
    }
}

void object_read_address(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                         const struct walk_at *at, void *field)
{
    struct conf_backend *b = CONTAINER_OF(field, struct conf_backend, address);
    char why[160];
    if (n->kind != NODE_STRING) {
        walk_error_kind(w, n, at, "an address such as \"10.0.0.1:8080\"");
    } else if (w->resolving) {
        resolve_read_name(w, n, at, b);
    } else if (strncmp(n->text, "srv:", 4) == 0) {
        walk_error(w, n->pos, at, "\"%.120s\" needs \"resolve\", such as resolve = \"10s\"",
                   n->text);
    } else if (net_addr_parse(n->text, &b->addr, why, sizeof why) == -1 &&
               walk_system.resolve(n->text, &b->addr, why, sizeof why) == -1) {
        walk_error(w, n->pos, at, "\"%.120s\": %s%s", n->text, why,
                   strncmp(why, "cannot resolve", 14) == 0 ? LATER_HINT : "");
    } else if (net_addr_is_wildcard(&b->addr)) {
        walk_error(w, n->pos, at, "\"%.120s\" names no host to connect to", n->text);
    } else {
        b->address = arena_strdup(w->arena, n->text);
    }
}

/* Does it say `resolve`, other than "0s"? Wherever that stands. */
static bool is_resolved(const struct node *n)
{
    const struct node *resolve = find_child(n, "resolve");
    return resolve && !(resolve->kind == NODE_STRING && strspn(resolve->text, "0") > 0);
}

static void read_backend(struct walk *w, const struct node *n, const struct walk_at *at,
                         struct conf_backend *b)
{
    *b = w->backend_defaults;
    b->name = b->address = "";
    b->pos = walk_keep_pos(w, n->pos);
    b->entry = INDEX_NONE;
    w->resolving = is_resolved(n);
    if (n->kind == NODE_STRING)
        object_read_address(w, NULL, n, at, &b->address);
    else
        walk_group(w, n, at, &(struct walk_target){&conf_section_backend, (char *)b}, 1);
    if (!*b->name)
        b->name = b->address;
}

/* Its name is how a backend is found again after a reload. */
static void check_backend(struct walk *w, const struct conf_pool *p, uint32_t index,
                          const struct walk_at *at)
{
    const struct conf_backend *b = &p->backends[index];
    if (!*b->name) /* no address: that was said */
        return;
    if (strlen(b->name) >= NAME_MAX_BYTES)
        walk_error(w, b->pos, at, "needs a \"name\": the address is longer than %u bytes",
                   NAME_MAX_BYTES - 1);
    uint32_t scope = (uint32_t)(p - w->conf->pools);
    uint32_t first = names_add(&w->backends, scope, b->name, index);
    if (first != NAMES_NONE)
        walk_error(w, b->pos, at, "there is a backend \"%s\" already, at %s:%u", b->name,
                   p->backends[first].pos.file, p->backends[first].pos.line);
}

void object_read_backends(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                          const struct walk_at *at, void *field)
{
    struct conf_pool *p = CONTAINER_OF(field, struct conf_pool, backends);
    const struct node *first;
    if (n->kind == NODE_GROUP) {
        walk_error_kind(w, n, at, "a list ( ) of groups or an array [ ] of addresses");
        return;
    }
    uint32_t count = walk_elements(n, &first);
    if (count > w->backends_left) {
        walk_error(w, n->pos, at, "more than %u backends in all pools", ENTRY_MAX);
        return;
    }
    w->backends_left -= count;
    p->backends = ARENA_ARRAY(w->arena, struct conf_backend, count);
    p->backend_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct walk_at element = {.up = at, .index = i};
        const struct walk_at *here = first == n ? at : &element;
        read_backend(w, &first[i], here, &p->backends[i]);
        check_backend(w, p, i, here);
    }
}

/* ---- the rest of the top ---- */

void object_read_admin(struct walk *w, const struct conf_row *row, const struct node *n,
                       const struct walk_at *at, void *field)
{
    struct conf_admin *admin = field;
    if (n->kind == NODE_STRING && strcmp(n->text, "off") == 0) {
        admin->off = true;
        admin->binds = NULL;
        admin->bind_count = 0;
    } else if (n->kind != NODE_GROUP) {
        walk_error_kind(w, n, at, "a group { } or \"off\"");
    } else {
        walk_group(w, n, at, &(struct walk_target){row->section, field}, 1);
    }
}

void object_read_defaults(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                          const struct walk_at *at, void *field UNUSED)
{
    const struct walk_target targets[] = {
        {&conf_section_listener, (char *)&w->listener_defaults},
        {&conf_section_pool, (char *)&w->pool_defaults},
    };
    w->in_defaults = true;
    walk_group(w, n, at, targets, ARRAY_LEN(targets));
    w->in_defaults = false;
}
