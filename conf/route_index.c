/* Which route comes first, and the tables that find it. See conf/route.h. */
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "conf/dump.h"
#include "conf/regex.h"
#include "conf/route_hosts.h"
#include "conf/walk.h"
#include "shm/layout.h"

/* ---- entries ---- */

/* The text that every match of a pattern begins with: what stands behind ^, up to the first thing
 * that is not itself. */
static const char *regex_prefix(struct arena *arena, const char *pattern)
{
    size_t len =
        *pattern == '^' && !strchr(pattern, '|') ? strcspn(pattern + 1, "\\^$.[]|()?*+{}#") : 0;
    if (len && strchr("?*{", pattern[1 + len]) && pattern[1 + len])
        len--; /* the last one is optional */
    return arena_strndup(arena, pattern + (len ? 1 : 0), len);
}

static bool has_more(const struct conf_route *r)
{
    const struct conf_match *m = &r->match;
    return m->path_regex || m->method_count || m->header_count || m->query_count ||
           m->cookie_count || m->client_count || r->when_count || r->unless_count;
}

static void set_path(struct walk *w, struct route_entry *e, const char *path)
{
    const char *star = strchr(path, '*');
    size_t len = strlen(path);
    e->exact = *path == '=';
    if (e->exact) {
        e->path = path + 1;
    } else if (star) {
        e->path = arena_strndup(w->arena, path, (size_t)(star - path));
        e->glob = star[1] ? path : NULL; /* a star at the end is a prefix */
    } else {
        e->path = path;
        e->segment = path[len - 1] != '/';
    }
    e->path_len = (uint32_t)strlen(e->path);
}

static void set_entry(struct walk *w, struct route_entry *e, const struct conf_route *r,
                      const char *host, const char *path)
{
    e->route = r;
    e->host = host && strcmp(host, "*") != 0 ? host : NULL;
    e->path = "";
    if (path) {
        set_path(w, e, path);
    } else if (r->match.path_regex) {
        e->path = regex_prefix(w->arena, r->match.path_regex);
        e->path_len = (uint32_t)strlen(e->path);
    }
    e->plain = !e->glob && !has_more(r);
}

static uint32_t at_least_one(uint32_t n)
{
    return n ? n : 1;
}

static void fill_entries(struct walk *w, const struct conf_routes *routes, struct route_entry *e)
{
    for (uint32_t i = 0; i < routes->count; i++) {
        const struct conf_route *r = &routes->items[i];
        for (uint32_t h = 0; h < at_least_one(r->match.host_count); h++)
            for (uint32_t p = 0; p < at_least_one(r->match.path_count); p++)
                set_entry(w, e++, r, r->match.host_count ? r->match.hosts[h] : NULL,
                          r->match.path_count ? r->match.paths[p] : NULL);
    }
}

/* ---- order ---- */

static int ascending(uint32_t a, uint32_t b)
{
    return a < b ? -1 : a > b;
}

/* Exact names before wildcards, long ones before short ones, any host last. */
static uint32_t host_weight(const struct route_entry *e)
{
    if (!e->host)
        return 0;
    return (*e->host == '*' ? 1u : 1024u) + (uint32_t)strlen(e->host);
}

static uint32_t path_class(const struct route_entry *e)
{
    return e->exact ? 2 : e->route->match.path_regex ? 1 : 0;
}

/* Characters that are not wildcards; what begins with "/" is any path. */
static uint32_t path_weight(const struct route_entry *e)
{
    uint32_t n = e->path_len;
    if (n == 1 && !e->glob && !e->exact)
        return 0;
    for (const char *c = e->glob ? e->glob + e->path_len : ""; *c; c++)
        n += *c != '*';
    return n;
}

static uint32_t conditions(const struct route_entry *e)
{
    const struct conf_match *m = &e->route->match;
    return (m->method_count > 0) + m->header_count + m->query_count + m->cookie_count +
           (m->client_count > 0) + e->route->when_count + e->route->unless_count;
}

static int compare_rank(const void *a, const void *b)
{
    const struct route_entry *x = *(const struct route_entry *const *)a;
    const struct route_entry *y = *(const struct route_entry *const *)b;
    int d = ascending(y->route->priority, x->route->priority);
    d = d ? d : ascending(host_weight(y), host_weight(x));
    d = d ? d : ascending(path_class(y), path_class(x));
    d = d ? d : ascending(path_weight(y), path_weight(x));
    d = d ? d : ascending(conditions(y), conditions(x));
    return d ? d : x < y ? -1 : x > y;
}

/* ---- the tree of paths ---- */

static int compare_path(const void *a, const void *b)
{
    const struct route_entry *x = *(const struct route_entry *const *)a;
    const struct route_entry *y = *(const struct route_entry *const *)b;
    uint32_t shorter = x->path_len < y->path_len ? x->path_len : y->path_len;
    int d = memcmp(x->path, y->path, shorter);
    d = d ? d : ascending(x->path_len, y->path_len);
    return d ? d : ascending(x->rank, y->rank);
}

/* Those that end at this node, by rank. */
static const struct route_entry *const *pick_own(struct arena *arena,
                                                 const struct route_entry *const *e, uint32_t count,
                                                 bool exact, uint32_t *picked)
{
    const struct route_entry **own = ARENA_ARRAY(arena, const struct route_entry *, count);
    for (uint32_t i = 0; i < count; i++)
        if (e[i]->exact == exact)
            own[(*picked)++] = e[i];
    return own;
}

static uint32_t common_bytes(const struct route_entry *a, const struct route_entry *b,
                             uint32_t from)
{
    uint32_t n = from;
    while (n < a->path_len && n < b->path_len && a->path[n] == b->path[n])
        n++;
    return n - from;
}

static uint32_t same_byte(const struct route_entry *const *e, uint32_t count, uint32_t from,
                          uint32_t depth)
{
    uint32_t to = from + 1;
    while (to < count && e[to]->path[depth] == e[from]->path[depth])
        to++;
    return to;
}

static uint32_t count_children(const struct route_entry *const *e, uint32_t count, uint32_t from,
                               uint32_t depth)
{
    uint32_t n = 0;
    for (; from < count; from = same_byte(e, count, from, depth))
        n++;
    return n;
}

/* n has its label and depth; e are the entries below it, in order of their paths. */
static void build_node(struct arena *arena, struct route_node *n, const struct route_node *parent,
                       const struct route_entry *const *e, uint32_t count)
{
    uint32_t own = 0;
    while (own < count && e[own]->path_len == n->depth)
        own++;
    n->prefixes = pick_own(arena, e, own, false, &n->prefix_count);
    n->exacts = pick_own(arena, e, own, true, &n->exact_count);
    n->above = parent && !parent->prefix_count ? parent->above : parent;
    n->best_above = parent ? parent->best_above : UINT32_MAX;
    if (n->prefix_count && n->prefixes[0]->rank < n->best_above)
        n->best_above = n->prefixes[0]->rank;
    n->child_count = count_children(e, count, own, n->depth);
    uint8_t *firsts = arena_alloc(arena, n->child_count);
    struct route_node *children = ARENA_ARRAY(arena, struct route_node, n->child_count);
    n->firsts = firsts;
    n->children = children;
    for (uint32_t i = 0, from = own; from < count; i++) {
        uint32_t to = same_byte(e, count, from, n->depth);
        firsts[i] = (uint8_t)e[from]->path[n->depth];
        children[i].label = e[from]->path + n->depth;
        children[i].label_len = common_bytes(e[from], e[to - 1], n->depth);
        children[i].depth = n->depth + children[i].label_len;
        build_node(arena, &children[i], n, e + from, to - from);
        from = to;
    }
}

/* ---- the table of hosts ---- */

/* Entries of one host come together, by path; those of any host first. */
static int compare_host(const void *a, const void *b)
{
    const struct route_entry *x = *(const struct route_entry *const *)a;
    const struct route_entry *y = *(const struct route_entry *const *)b;
    int d = strcmp(x->host ? x->host : "", y->host ? y->host : "");
    return d ? d : compare_path(a, b);
}

static bool same_host(const struct route_entry *a, const struct route_entry *b)
{
    return strcmp(a->host ? a->host : "", b->host ? b->host : "") == 0;
}

static struct route_host *place_of(struct route_host *hosts, uint32_t mask, const char *name)
{
    uint32_t len = (uint32_t)strlen(name);
    uint64_t hash = route_host_hash(name, len);
    uint32_t i = (uint32_t)hash & mask;
    while (hosts[i].name && strcmp(hosts[i].name, name) != 0)
        i = (i + 1) & mask;
    hosts[i].name = name;
    hosts[i].name_len = len;
    hosts[i].hash = hash;
    return &hosts[i];
}

static void add_host(struct conf_routes *routes, struct route_host *hosts, const char *host,
                     const struct route_node *tree)
{
    if (!host) {
        routes->any_host = tree;
    } else if (*host == '*') {
        place_of(hosts, routes->host_mask, host + 2)->wildcard = tree;
        routes->wildcard_labels |= route_labels_bit(host + 2, strlen(host + 2));
    } else {
        place_of(hosts, routes->host_mask, host)->exact = tree;
    }
}

static void build_hosts(struct arena *arena, struct conf_routes *routes,
                        const struct route_entry **e, uint32_t count)
{
    uint32_t slots = 2;
    while (slots < 2 * count)
        slots *= 2;
    struct route_host *hosts = ARENA_ARRAY(arena, struct route_host, slots);
    qsort(e, count, sizeof *e, compare_host);
    routes->host_mask = slots - 1;
    for (uint32_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && same_host(e[from], e[to]);)
            to++;
        struct route_node *root = ARENA_NEW(arena, struct route_node);
        root->label = "";
        build_node(arena, root, NULL, e + from, to - from);
        add_host(routes, hosts, e[from]->host, root);
        if (e[from]->host)
            routes->hosts = hosts;
    }
}

static void note_conditions(struct conf_routes *routes, const struct conf_condition *const *of,
                            uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        routes->asks_client |= of[i]->match.client_count > 0;
        routes->asks_host |= of[i]->match.host_count > 0;
    }
}

static void note_needs(struct conf_routes *routes, const struct conf_route *r)
{
    routes->asks_client |= r->match.client_count > 0;
    note_conditions(routes, r->when_of, r->when_count);
    note_conditions(routes, r->unless_of, r->unless_count);
}

void route_index(struct walk *w, struct conf_routes *routes)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < routes->count; i++)
        count += at_least_one(routes->items[i].match.host_count) *
                 at_least_one(routes->items[i].match.path_count);
    struct route_entry *entries = ARENA_ARRAY(w->arena, struct route_entry, count);
    const struct route_entry **by_rank = ARENA_ARRAY(w->arena, const struct route_entry *, count);
    const struct route_entry **by_host = ARENA_ARRAY(w->scratch, const struct route_entry *, count);
    fill_entries(w, routes, entries);
    for (uint32_t i = 0; i < routes->count; i++)
        note_needs(routes, &routes->items[i]);
    for (uint32_t i = 0; i < count; i++)
        by_rank[i] = by_host[i] = &entries[i];
    qsort(by_rank, count, sizeof *by_rank, compare_rank);
    for (uint32_t i = 0; i < count; i++)
        entries[by_rank[i] - entries].rank = i;
    routes->by_rank = by_rank;
    routes->entry_count = count;
    build_hosts(w->arena, routes, by_host, count);
}
