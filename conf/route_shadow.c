/* Routes that can never match: another one takes everything first. */
#include <string.h>
#include "conf/dump.h"
#include "conf/names.h"
#include "conf/route_hosts.h"
#include "conf/walk.h"

/* Does every path that e takes begin with what the prefix f takes? */
static bool covers_path(const struct route_entry *f, const struct route_entry *e)
{
    if (!f->segment || e->path_len == f->path_len)
        return !f->segment || e->segment || e->exact;
    return e->path[f->path_len] == '/';
}

static const struct route_entry *find_cover(const struct route_entry *const *f, uint32_t count,
                                            const struct route_entry *e)
{
    for (uint32_t i = 0; i < count && f[i]->rank < e->rank; i++)
        if (f[i]->plain && (f[i]->exact || covers_path(f[i], e)))
            return f[i];
    return NULL;
}

static const struct route_entry *cover_in_tree(const struct route_node *root,
                                               const struct route_entry *e)
{
    const struct route_entry *found = NULL;
    const struct route_node *n = route_descend(root, e->path, e->path_len);
    if (e->exact && n->depth == e->path_len)
        found = find_cover(n->exacts, n->exact_count, e);
    for (; n && !found; n = n->above)
        found = find_cover(n->prefixes, n->prefix_count, e);
    return found;
}

static const struct route_entry *find_shadow(const struct conf_routes *routes,
                                             const struct route_entry *e)
{
    struct route_trees trees;
    const struct route_node *root;
    const struct route_entry *found = NULL;
    /* of "*.x", a tree of its own is that of names below "x": as for the name "*.x" */
    const char *host = e->host ? e->host : "";
    route_trees_begin(&trees, routes, host, (uint32_t)strlen(host));
    while (!found && (root = route_trees_next(&trees)))
        found = cover_in_tree(root, e);
    return found;
}

/* Everything that a route asks of a request, as text. */
static const char *conditions_of(struct walk *w, const struct conf_route *r)
{
    struct out o;
    struct conf_condition c = {.match = r->match};
    out_init(&o, w->conf, false);
    dump_section(&o, &conf_section_condition, &c);
    for (uint32_t i = 0; i < r->when_count; i++)
        out_string(&o, "when", r->when[i]);
    for (uint32_t i = 0; i < r->unless_count; i++)
        out_string(&o, "unless", r->unless[i]);
    char *text = out_finish(&o);
    const char *kept = arena_strdup(w->scratch, text);
    out_free(&o);
    return kept;
}

static void complain(struct walk *w, const struct conf_route *r, const struct conf_route *by)
{
    walk_error(w, r->pos, NULL, "this route never gets a request: the one at %s:%u takes them all",
               by->pos.file, by->pos.line);
}

/* What takes the place of the route's last pattern; the route is dead when every pattern is. */
struct fate {
    uint32_t alive;
    const struct conf_route *by;
};

static void find_fates(struct walk *w, const struct conf_routes *routes, struct fate *fates)
{
    struct names seen;
    names_init(&seen, w->scratch);
    for (uint32_t i = 0; i < routes->entry_count; i++) {
        const struct route_entry *e = routes->by_rank[i];
        struct fate *f = &fates[e->route->index];
        const struct route_entry *shadow = find_shadow(routes, e);
        if (!f->alive && !f->by) { /* its first pattern */
            uint32_t twin = names_add(&seen, 0, conditions_of(w, e->route), e->route->index);
            f->by = twin == NAMES_NONE ? NULL : &routes->items[twin];
            if (f->by)
                continue;
        }
        if (!shadow)
            f->alive++;
        else if (!f->alive)
            f->by = shadow->route;
    }
}

void route_shadows(struct walk *w, const struct conf_routes *routes)
{
    struct fate *fates = ARENA_ARRAY(w->scratch, struct fate, routes->count);
    find_fates(w, routes, fates);
    for (uint32_t i = 0; i < routes->count; i++)
        if (!fates[i].alive && fates[i].by && fates[i].by != &routes->items[i])
            complain(w, &routes->items[i], fates[i].by);
}
