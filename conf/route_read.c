/* How routes, conditions, splits and error pages are read, and what a single route must say. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "conf/route.h"
#include "conf/suggest.h"
#include "conf/types.h"
#include "shm/layout.h"

#define ROUTES_MAX     100000u
#define CONDITIONS_MAX 4096u
#define SPLIT_MAX      256u
#define PAGES_MAX      64u

static const struct node *child(const struct node *n, const char *name)
{
    for (uint32_t i = 0; n->kind == NODE_GROUP && i < n->count; i++)
        if (strcmp(n->children[i].name, name) == 0)
            return &n->children[i];
    return NULL;
}

/* Where a setting of this group stands, or the group itself. */
static struct conf_pos pos_of(const struct node *n, const char *name)
{
    const struct node *c = child(n, name);
    return c ? c->pos : n->pos;
}

/* ---- lists of groups ---- */

typedef void read_element_fn(struct walk *w, const struct node *n, const struct walk_at *at,
                             void *element);

static void read_groups(struct walk *w, const struct node *n, const struct walk_at *at,
                        struct types_list *list, size_t bytes, uint32_t max, read_element_fn *read)
{
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    if (n->kind == NODE_ARRAY || (first == n && n->kind != NODE_GROUP)) {
        walk_error_kind(w, n, at, "a list ( ) of groups { }");
        return;
    }
    if (count == 0 || count > max) {
        if (count)
            walk_error(w, n->pos, at, "holds %u, and %u is the most", count, max);
        else
            walk_error(w, n->pos, at, "is empty");
        return;
    }
    char *items = arena_alloc(w->arena, bytes * count);
    for (uint32_t i = 0; i < count; i++) {
        struct walk_at element = {.up = at, .index = i};
        read(w, &first[i], first == n ? at : &element, items + i * bytes);
    }
    list->items = items;
    list->count = count;
}

static void read_part(struct walk *w, const struct node *n, const struct walk_at *at, void *element)
{
    struct conf_split *s = element;
    walk_fill_defaults(w, &conf_section_split, s);
    s->pool = INDEX_NONE;
    s->pos = walk_keep_pos(w, n->pos);
    walk_group(w, n, at, &(struct walk_target){&conf_section_split, element}, 1);
}

void route_read_split(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                      const struct walk_at *at, void *field)
{
    struct conf_route *r = CONTAINER_OF(field, struct conf_route, split);
    read_groups(w, n, at, field, sizeof(struct conf_split), SPLIT_MAX, read_part);
    r->split_weight = 0;
    for (uint32_t i = 0; i < r->split_count; i++)
        r->split_weight += r->split[i].weight;
    if (r->split_count && r->split_weight == 0)
        walk_error(w, n->pos, at, "every weight is 0");
}

static void read_page(struct walk *w, const struct node *n, const struct walk_at *at, void *element)
{
    struct conf_error_page *p = element;
    walk_fill_defaults(w, &conf_section_error_page, p);
    p->pos = walk_keep_pos(w, n->pos);
    walk_group(w, n, at, &(struct walk_target){&conf_section_error_page, element}, 1);
}

void route_read_pages(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                      const struct walk_at *at, void *field)
{
    read_groups(w, n, at, field, sizeof(struct conf_error_page), PAGES_MAX, read_page);
}

/* ---- conditions ---- */

static bool is_tested(const struct conf_match *m)
{
    return m->host_count || m->path_count || m->path_regex || m->method_count || m->header_count ||
           m->query_count || m->cookie_count || m->client_count;
}

static void check_match(struct walk *w, const struct node *n, const struct walk_at *at,
                        const struct conf_match *m)
{
    if (m->path_count && m->path_regex)
        walk_error(w, pos_of(n, "path_regex"), at,
                   "\"path\" and \"path_regex\" are two ways to say one thing: keep one");
}

void route_read_conditions(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                           const struct walk_at *at, void *field UNUSED)
{
    struct conf *c = w->conf;
    if (n->kind != NODE_GROUP || n->count > CONDITIONS_MAX) {
        walk_error_kind(w, n, at, "a group { } of groups by name");
        return;
    }
    c->conditions = ARENA_ARRAY(w->arena, struct conf_condition, n->count);
    for (uint32_t i = 0; i < n->count; i++) {
        const struct node *one = &n->children[i];
        struct walk_at below = {.up = at, .name = one->name};
        struct conf_condition *d = &c->conditions[c->condition_count++];
        d->name = arena_strdup(w->arena, one->name);
        d->match.regex = INDEX_NONE;
        d->pos = walk_keep_pos(w, one->pos);
        names_add(&w->conditions, 0, d->name, i);
        uint32_t before = w->errors->count;
        walk_group(w, one, &below, &(struct walk_target){&conf_section_condition, (char *)d}, 1);
        check_match(w, one, &below, &d->match);
        if (!is_tested(&d->match) && w->errors->count == before)
            walk_error(w, one->pos, &below, "says nothing: it would always hold");
    }
}

static const struct conf_condition *find_condition(struct walk *w, const char *name,
                                                   struct conf_pos pos, const struct walk_at *at)
{
    struct suggest s;
    uint32_t index = names_find(&w->conditions, 0, name);
    if (index != NAMES_NONE)
        return &w->conf->conditions[index];
    suggest_init(&s, name);
    for (uint32_t i = 0; i < w->conf->condition_count; i++)
        suggest_offer(&s, w->conf->conditions[i].name);
    walk_error(w, pos, at, "there is no condition \"%.63s\"%s", name, walk_hint(w, s.best));
    return NULL;
}

static const struct conf_condition **resolve(struct walk *w, const char *const *names,
                                             uint32_t count, struct conf_pos pos,
                                             const struct walk_at *at)
{
    const struct conf_condition **found =
        ARENA_ARRAY(w->arena, const struct conf_condition *, count);
    for (uint32_t i = 0; i < count; i++)
        found[i] = find_condition(w, names[i], pos, at);
    return found;
}

/* ---- one route ---- */

static void check_action(struct walk *w, const struct node *n, const struct walk_at *at,
                         const struct conf_route *r)
{
    static const char *const actions[] = {"pool", "split", "redirect", "respond"};
    const char *first = NULL;
    for (unsigned i = 0; i < ARRAY_LEN(actions); i++) {
        if (!child(n, actions[i]))
            continue;
        if (first)
            walk_error(w, pos_of(n, actions[i]), at, "has both \"%s\" and \"%s\": keep one", first,
                       actions[i]);
        first = actions[i];
    }
    if (!first)
        walk_error(w, n->pos, at,
                   "one of \"pool\", \"split\", \"redirect\" and \"respond\" is missing");
    if (r->status && r->status > 303 && r->status < 307)
        walk_error(w, pos_of(n, "status"), at, "%u is not one of 301, 302, 303, 307, 308",
                   r->status);
}

/* Settings that mean something only beside another one. */
static void check_company(struct walk *w, const struct node *n, const struct walk_at *at)
{
    static const struct {
        const char *name, *beside, * or ;
    } rules[] = {{"status", "redirect", NULL},    {"body", "respond", NULL},
                 {"content_type", "body", NULL},  {"split_key", "split", NULL},
                 {"rewrite", "pool", "split"},    {"strip_prefix", "pool", "split"},
                 {"timeouts", "pool", "split"},   {"auth", "pool", "split"},
                 {"mirror", "pool", "split"},     {"request_headers", "pool", "split"},
                 {"rate_limit", "pool", "split"}, {"cache", "pool", "split"}};
    for (unsigned i = 0; i < ARRAY_LEN(rules); i++)
        if (child(n, rules[i].name) && !child(n, rules[i].beside) &&
            !(rules[i].or &&child(n, rules[i].or)))
            walk_error(w, pos_of(n, rules[i].name), at, "\"%s\" means nothing without \"%s\"%s%s%s",
                       rules[i].name, rules[i].beside, rules[i].or ? " or \"" : "",
                       rules[i].or ? rules[i].or : "", rules[i].or ? "\"" : "");
    if (child(n, "compression") && child(n, "redirect"))
        walk_error(w, pos_of(n, "compression"), at,
                   "\"compression\" means nothing with \"redirect\": there is no body");
    if (child(n, "rewrite") && child(n, "strip_prefix"))
        walk_error(w, pos_of(n, "strip_prefix"), at,
                   "\"rewrite\" and \"strip_prefix\" both make the path: keep one");
}

static void check_strip(struct walk *w, const struct node *n, const struct walk_at *at,
                        const struct conf_route *r)
{
    if (!r->strip_prefix)
        return;
    if (r->match.path_count == 0)
        walk_error(w, pos_of(n, "strip_prefix"), at, "\"strip_prefix\" needs a \"path\" to strip");
    for (uint32_t i = 0; i < r->match.path_count; i++) {
        const char *path = r->match.paths[i], *star = strchr(path, '*');
        if (*path == '=' || (star && (star[1] || star[-1] != '/')))
            walk_error(w, pos_of(n, "strip_prefix"), at,
                       "\"%.120s\" is no prefix: \"strip_prefix\" needs one", path);
    }
}

static void parse_text(struct walk *w, struct conf_pos pos, const struct walk_at *at,
                       const struct conf_route *r, const char *name, const char *text,
                       unsigned allowed, struct conf_template *out)
{
    char why[240];
    uint32_t groups = r->match.path_regex ? w->conf->regexes[r->match.regex].captures : 0;
    if (template_parse(out, w->arena, text, allowed, groups < 9 ? groups : 9, why, sizeof why) ==
        -1)
        walk_error(w, pos, at, "%s: %s", name, why);
    else if (strchr(text, ' ') || strchr(text, '"') || strchr(text, '<') || strchr(text, '>'))
        walk_error(w, pos, at, "%s: has characters that a URI must percent-encode", name);
}

static void compile_texts(struct walk *w, const struct node *n, const struct walk_at *at,
                          struct conf_route *r)
{
    if (r->redirect && strcmp(r->redirect, "https") == 0) {
        route_https(w->arena, &r->location);
    } else if (r->redirect) {
        parse_text(w, pos_of(n, "redirect"), at, r, "redirect", r->redirect, TEMPLATE_IN_URL,
                   &r->location);
        if (!strstr(r->redirect, "://") && *r->redirect != '/' && *r->redirect != '{' &&
            *r->redirect != '$')
            walk_error(w, pos_of(n, "redirect"), at,
                       "redirect: \"%.120s\" is not \"https\", a path or an address with ://",
                       r->redirect);
    }
    if (r->rewrite) {
        parse_text(w, pos_of(n, "rewrite"), at, r, "rewrite", r->rewrite, TEMPLATE_IN_PATH,
                   &r->rewrite_to);
        if (*r->rewrite != '/' && strncmp(r->rewrite, "{path}", 6) != 0)
            walk_error(w, pos_of(n, "rewrite"), at, "rewrite: \"%.120s\" does not begin with /",
                       r->rewrite);
    }
}

void route_https(struct arena *arena, struct conf_template *t)
{
    char why[8];
    if (template_parse(t, arena, "https://{host}{uri}", TEMPLATE_IN_URL, 0, why, sizeof why) == -1)
        t->count = 0; /* cannot be */
}

static void read_route(struct walk *w, const struct node *n, const struct walk_at *at,
                       void *element)
{
    struct conf_route *r = element;
    r->pos = walk_keep_pos(w, n->pos);
    r->pool = r->mirror = r->match.regex = INDEX_NONE;
    uint32_t before = w->errors->count;
    walk_group(w, n, at, &(struct walk_target){&conf_section_route, element}, 1);
    if (n->kind != NODE_GROUP)
        return;
    check_match(w, n, at, &r->match);
    check_action(w, n, at, r);
    check_company(w, n, at);
    r->when_of = resolve(w, r->when, r->when_count, pos_of(n, "when"), at);
    r->unless_of = resolve(w, r->unless, r->unless_count, pos_of(n, "unless"), at);
    if (w->errors->count > before)
        return;
    check_strip(w, n, at, r);
    compile_texts(w, n, at, r);
}

void route_read_routes(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                       const struct walk_at *at, void *field)
{
    struct conf_routes **routes = field;
    struct types_list list = {0};
    read_groups(w, n, at, &list, sizeof(struct conf_route), ROUTES_MAX, read_route);
    *routes = ARENA_NEW(w->arena, struct conf_routes);
    (*routes)->items = list.items;
    (*routes)->count = list.count;
    for (uint32_t i = 0; i < list.count; i++)
        (*routes)->items[i].index = i;
}
