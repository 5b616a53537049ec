#include "conf/walk.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "conf/suggest.h"
#include "conf/types.h"

#define PATH_CAP 512u

static bool user_missing(const char *name)
{
    /* cppcheck-suppress getpwnamCalled ; a process has one thread */
    return geteuid() == 0 && !getpwnam(name);
}

struct walk_system walk_system = {.resolve = net_addr_resolve, .user_missing = user_missing};

/* ---- messages ---- */

size_t walk_path(const struct walk_at *at, char *out, size_t cap)
{
    if (!at)
        return 0;
    size_t len = walk_path(at->up, out, cap);
    int more;
    if (at->name)
        more = snprintf(out + len, cap - len, "%s%s", len ? "." : "", at->name);
    else
        more = snprintf(out + len, cap - len, "[%" PRIu32 "]", at->index);
    len += more < 0 ? 0 : (size_t)more;
    return len < cap ? len : cap - 1;
}

static bool same_place(struct conf_pos a, struct conf_pos b)
{
    return a.line == b.line && strcmp(a.file, b.file) == 0;
}

/* Did the pre-lexer complain about this line? Then the rest of it is a guess. */
static bool is_lexical(const struct walk *w, struct conf_pos pos)
{
    const struct conf_error *e = w->lexical ? w->errors->first : NULL;
    for (; e; e = e == w->lexical ? NULL : e->next)
        if (same_place(e->pos, pos))
            return true;
    return false;
}

void walk_error(struct walk *w, struct conf_pos pos, const struct walk_at *at, const char *fmt, ...)
{
    if (is_lexical(w, pos))
        return;
    char path[PATH_CAP] = "", text[1024];
    size_t len = walk_path(at, path, sizeof path);
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    conf_errors_add(w->errors, pos, "%s%s%s", path, len ? ": " : "", text);
}

static const char *describe(struct walk *w, const struct node *n)
{
    switch (n->kind) {
    case NODE_STRING: return arena_printf(w->scratch, "\"%.60s\"", n->text);
    case NODE_NUMBER: return arena_printf(w->scratch, "%" PRId64, n->number);
    case NODE_BOOL: return n->number ? "true" : "false";
    case NODE_FRACTION: return "a fraction";
    case NODE_LIST: return "a list ( )";
    case NODE_ARRAY: return "an array [ ]";
    default: return "a group { }";
    }
}

void walk_error_kind(struct walk *w, const struct node *n, const struct walk_at *at,
                     const char *wanted)
{
    walk_error(w, n->pos, at, "wants %s, found %s", wanted, describe(w, n));
}

const char *walk_hint(struct walk *w, const char *best)
{
    return best ? arena_printf(w->scratch, ", did you mean \"%s\"?", best) : "";
}

struct conf_pos walk_keep_pos(struct walk *w, struct conf_pos pos)
{
    if (pos.file != w->file) {
        w->file = pos.file;
        w->kept_file = arena_strdup(w->arena, pos.file);
    }
    return (struct conf_pos){w->kept_file, pos.line};
}

uint32_t walk_elements(const struct node *n, const struct node **first)
{
    bool many = n->kind == NODE_LIST || n->kind == NODE_ARRAY;
    *first = many ? n->children : n;
    return many ? n->count : 1;
}

/* ---- defaults ---- */

static void fill_default(struct walk *w, const struct conf_row *row, char *field)
{
    const struct conf_type *type = &conf_types[row->type];
    struct node n = {.kind = type->literal, .text = row->fallback, .pos = {"", 0}};
    if (n.kind == NODE_NUMBER)
        n.number = strtoll(row->fallback, NULL, 10);
    else if (n.kind == NODE_BOOL)
        n.number = strcmp(row->fallback, "true") == 0;
    type->read(w, row, &n, NULL, field);
}

void walk_fill_defaults(struct walk *w, const struct conf_section *section, void *base)
{
    for (const struct conf_row *row = section->rows; row->name; row++) {
        char *field = (char *)base + row->offset;
        if (row->type == CONF_T_GROUP || row->type == CONF_T_ADMIN ||
            row->type == CONF_T_ACCESS_LOG)
            walk_fill_defaults(w, row->section, field);
        else if (row->flags & CONF_DERIVED)
            memset(field, 0xff, row->width);
        else if (row->fallback)
            fill_default(w, row, field);
    }
}

/* ---- groups ---- */

/* The group being read, and what was found in it. */
struct group {
    const struct walk_at *at;
    const struct walk_target *targets;
    uint32_t count;
    bool later; /* something of a future version was there */
};

static const char *home_of(const char *name)
{
    for (size_t i = 0; conf_sections[i]; i++) {
        const struct conf_row *row = rows_find(conf_sections[i], name);
        if (row && row->type != CONF_T_LATER)
            return *conf_sections[i]->path ? conf_sections[i]->path : "the top level";
    }
    return NULL;
}

static void report_unknown(struct walk *w, const struct node *n, const struct group *g)
{
    struct suggest s;
    suggest_init(&s, n->name);
    for (uint32_t t = 0; t < g->count; t++) {
        for (const struct conf_row *row = g->targets[t].section->rows; row->name; row++) {
            if (w->in_defaults && row->flags & CONF_OWN)
                continue;
            suggest_offer_alias(&s, row->name, row->also);
            suggest_offer(&s, row->name);
        }
    }
    const char *home = s.best ? NULL : home_of(n->name);
    walk_error(w, n->pos, g->at, "unknown setting \"%s\"%s%s%s", n->name, walk_hint(w, s.best),
               home ? "; it belongs in " : "", home ? home : "");
}

static void report_unfit(struct walk *w, const struct conf_row *row, const struct node *n,
                         const struct walk_at *at)
{
    const char *protocol = w->kind & CONF_KIND_TCP   ? "tcp"
                           : w->kind & CONF_KIND_UDP ? "udp"
                                                     : "http";
    const char *unless = "";
    if (w->kind & CONF_KIND_TCP && row->needs & CONF_KIND_SNI)
        unless = " without proxy_protocol or sni";
    else if (w->kind & CONF_KIND_TCP && row->needs & CONF_KIND_PROXY)
        unless = " without proxy_protocol";
    walk_error(w, n->pos, at, "\"%s\" means nothing with protocol = \"%s\"%s", n->name, protocol,
               unless);
}

/* In `defaults`: does a listener or a pool take this setting from there? */
static bool is_inherited(const struct group *g, const char *name)
{
    for (uint32_t t = 0; t < g->count; t++) {
        const struct conf_row *row = rows_find(g->targets[t].section, name);
        if (row && row->type != CONF_T_LATER && !(row->flags & CONF_OWN))
            return true;
    }
    return false;
}

/* The first section that knows it: it is complained of once. */
static const struct conf_section *first_with(const struct group *g, const char *name)
{
    uint32_t t = 0;
    while (t + 1 < g->count && !rows_find(g->targets[t].section, name))
        t++;
    return g->targets[t].section;
}

/* May this known setting stand here? One that is of one kind of object alone stands for the other.
 */
static bool check_allowed(struct walk *w, const struct conf_row *row, const struct node *n,
                          const struct group *g)
{
    bool own = w->in_defaults && row->flags & CONF_OWN;
    if (own && !is_inherited(g, n->name) && row == rows_find(first_with(g, n->name), n->name))
        walk_error(w, n->pos, g->at, "\"%s\" cannot be inherited: set it where it belongs",
                   n->name);
    if (own)
        return false;
    if (!rows_fit(row, w->kind))
        report_unfit(w, row, n, g->at);
    else
        return true;
    return false;
}

static void read_setting(struct walk *w, const struct node *n, struct group *g)
{
    struct walk_at at = {.up = g->at, .name = n->name};
    struct walk_target nested[WALK_TARGETS_MAX];
    uint32_t nested_count = 0, known = 0;
    bool later = false;
    for (uint32_t t = 0; t < g->count; t++) {
        const struct conf_row *row = rows_find(g->targets[t].section, n->name);
        if (row && row->type == CONF_T_LATER)
            later = true;
        if (!row || row->type == CONF_T_LATER)
            continue;
        known++;
        char *field = g->targets[t].base + row->offset;
        if (!check_allowed(w, row, n, g))
            continue;
        if (row->type == CONF_T_GROUP)
            nested[nested_count++] = (struct walk_target){row->section, field};
        else
            conf_types[row->type].read(w, row, n, &at, field);
        const struct conf_kinds *kinds = rows_kinds(g->targets[t].section);
        if (kinds && !w->in_defaults)
            kinds->said(w, g->targets[t].base, row, n->pos);
    }
    if (nested_count)
        walk_group(w, n, &at, nested, nested_count);
    if (!known && later)
        walk_error(w, n->pos, NULL, "\"%s\" is not supported yet", n->name);
    else if (!known)
        report_unknown(w, n, g);
    g->later |= later && !known;
}

static bool has_child(const struct node *n, const char *name)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (strcmp(n->children[i].name, name) == 0)
            return true;
    return false;
}

static void check_required(struct walk *w, const struct node *n, const struct group *g)
{
    if (w->in_defaults || g->later) /* what is not supported yet may stand for it */
        return;
    for (uint32_t t = 0; t < g->count; t++)
        for (const struct conf_row *row = g->targets[t].section->rows; row->name; row++)
            if (row->flags & CONF_REQUIRED && !has_child(n, row->name))
                walk_error(w, n->pos, g->at, "\"%s\" is missing", row->name);
}

void walk_group(struct walk *w, const struct node *n, const struct walk_at *at,
                const struct walk_target *targets, uint32_t count)
{
    if (n->kind != NODE_GROUP) {
        walk_error_kind(w, n, at, "a group { }");
        return;
    }
    struct group g = {.at = at, .targets = targets, .count = count};
    for (uint32_t i = 0; i < n->count; i++)
        read_setting(w, &n->children[i], &g);
    check_required(w, n, &g);
}

/* ---- the whole file ---- */

/* What others refer to comes first: defaults, then pools, then the rest. */
static unsigned rank(const struct node *n)
{
    const struct conf_row *row = rows_find(&conf_section_top, n->name);
    if (row && row->type == CONF_T_DEFAULTS)
        return 0;
    return row && (row->type == CONF_T_POOLS || row->type == CONF_T_CONDITIONS) ? 1 : 2;
}

static struct node sort_root(struct walk *w, const struct node *root)
{
    struct node sorted = *root;
    if (root->count)
        sorted.children = ARENA_ARRAY(w->scratch, struct node, root->count);
    uint32_t out = 0;
    for (unsigned r = 0; r < 3; r++)
        for (uint32_t i = 0; i < root->count; i++)
            if (rank(&root->children[i]) == r)
                sorted.children[out++] = root->children[i];
    return sorted;
}

void walk_root(struct walk *w, const struct node *root)
{
    struct node sorted = sort_root(w, root);
    walk_fill_defaults(w, &conf_section_top, w->conf);
    walk_fill_defaults(w, &conf_section_listener, &w->listener_defaults);
    walk_fill_defaults(w, &conf_section_pool, &w->pool_defaults);
    walk_fill_defaults(w, &conf_section_backend, &w->backend_defaults);
    walk_group(w, &sorted, NULL, &(struct walk_target){&conf_section_top, (char *)w->conf}, 1);
}
