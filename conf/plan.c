/* What differs between two configurations, named so that a person understands it. Objects are
 * matched by name. */
#include <stdlib.h>
#include <string.h>
#include "conf/named_files.h"
#include "conf/plan_int.h"

struct conf_change *plan_add(struct plan *p, const char *prefix, const char *what)
{
    struct conf_change *c = ARENA_NEW(p->arena, struct conf_change);
    c->text = arena_printf(p->arena, "%s%s", prefix, what);
    *p->last = c;
    p->last = &c->next;
    return c;
}

static void backend_came_or_went(struct plan *p, const char *prefix, const struct conf_pool *pool,
                                 const char *name, enum conf_change_kind kind)
{
    const char *what = kind == CONF_ADDED ? "added" : "removed";
    struct conf_change *c =
        plan_add(p, prefix, arena_printf(&p->scratch, "backend %s %s", name, what));
    c->kind = kind;
    c->pool = pool->name;
    c->backend = name;
}

/* ---- fields ---- */

/* Lines become one. */
static void join_lines(char *text)
{
    char *to = text;
    for (const char *at = text; *at; at++) {
        bool is_break = *at == '\n';
        *to++ = is_break ? ' ' : *at;
        while (is_break && (at[1] == ' ' || at[1] == '\n'))
            at++;
    }
    while (to > text && to[-1] == ' ')
        to--;
    *to = '\0';
}

const char *plan_render(struct out *o, const struct conf_row *row, const void *field)
{
    out_reset(o);
    conf_types[row->type].write(o, row, field);
    join_lines(o->buf);
    const char *equals = strchr(o->buf, '=');
    return equals ? equals + 2 : "none";
}

/* Sure to be written alike; false: who knows. Most things do not change, and writing is slow. */
static bool same_leaf(const struct conf_row *row, const void *from, const void *to)
{
    void (*write)(struct out *, const struct conf_row *, const void *) =
        conf_types[row->type].write;
    if (write == write_string) {
        const char *const *a = from, *const *b = to;
        return *a == *b || (*a && *b && strcmp(*a, *b) == 0);
    }
    bool plain = write == write_number || write == write_bool || write == write_duration ||
                 write == write_size || write == write_factor || write == write_enum;
    return plain && memcmp(from, to, row->width) == 0;
}

static void plan_leaf(struct plan *p, const char *prefix, const struct conf_row *row,
                      const void *from, const void *to)
{
    if (same_leaf(row, from, to))
        return;
    const char *a = dump_is_unset(row, from) ? "nothing" : plan_render(&p->a, row, from);
    const char *b = dump_is_unset(row, to) ? "nothing" : plan_render(&p->b, row, to);
    if (strcmp(a, b) != 0)
        plan_add(p, prefix, arena_printf(&p->scratch, "%s: %s -> %s", row->name, a, b));
}

static bool is_collection(const struct conf_row *row)
{
    return row->type == CONF_T_LISTENERS || row->type == CONF_T_POOLS ||
           row->type == CONF_T_BACKENDS || row->type == CONF_T_ADMIN ||
           row->type == CONF_T_HEALTH || row->type == CONF_T_ROUTES ||
           row->type == CONF_T_CONDITIONS;
}

/* A group that may be missing. */
static void plan_optional(struct plan *p, const char *prefix, const struct conf_row *row,
                          const void *from, const void *to)
{
    const void *const *a = from, *const *b = to;
    if (*a && *b)
        plan_section(p, arena_printf(&p->scratch, "%s%s.", prefix, row->name), row->section, *a,
                     *b);
    else if (*a || *b)
        plan_add(p, prefix,
                 arena_printf(&p->scratch, "%s: %s", row->name, *b ? "turned on" : "turned off"));
}

static bool same_certificate(const struct conf_certificate *a, const struct conf_certificate *b)
{
    return strcmp(a->pem, b->pem) == 0 && strcmp(a->cert, b->cert) == 0 &&
           strcmp(a->key, b->key) == 0 && strcmp(a->ocsp, b->ocsp) == 0;
}

static const char *certificate_name(const struct conf_certificate *c)
{
    return *c->pem ? c->pem : c->cert;
}

static void plan_certificates(struct plan *p, const char *prefix, const void *from, const void *to)
{
    const struct types_list *a = from, *b = to;
    const struct conf_certificate *x = a->items, *y = b->items;
    for (uint32_t i = 0; i < a->count && i < b->count; i++)
        if (!same_certificate(&x[i], &y[i]))
            plan_add(p, prefix,
                     arena_printf(&p->scratch, "certificates[%u]: %s -> %s", i,
                                  certificate_name(&x[i]), certificate_name(&y[i])));
    if (a->count != b->count)
        plan_add(p, prefix,
                 arena_printf(&p->scratch, "certificates: %u -> %u", a->count, b->count));
}

void plan_section(struct plan *p, const char *prefix, const struct conf_section *section,
                  const void *from, const void *to)
{
    for (const struct conf_row *row = section->rows; row->name; row++) {
        const char *a = (const char *)from + row->offset, *b = (const char *)to + row->offset;
        if (row->type == CONF_T_GROUP)
            plan_section(p, arena_printf(&p->scratch, "%s%s.", prefix, row->name), row->section, a,
                         b);
        else if (conf_types[row->type].write == write_optional)
            plan_optional(p, prefix, row, a, b);
        else if (row->type == CONF_T_CERTIFICATES)
            plan_certificates(p, prefix, a, b);
        else if (conf_types[row->type].write && !is_collection(row))
            plan_leaf(p, prefix, row, a, b);
    }
}

/* ---- backends ---- */

static void plan_backend_health(struct plan *p, const char *below, const struct conf_health *from,
                                const struct conf_health *to)
{
    if (from && to)
        plan_section(p, arena_printf(&p->scratch, "%shealth.", below), &conf_section_health, from,
                     to);
    else if (from || to)
        plan_add(p, below, to ? "health: its own" : "health: as the pool's");
}

/* Ten thousand backends are the same as before: no text is made for them. */
static bool same_backend(const struct conf_backend *from, const struct conf_backend *to)
{
    for (const struct conf_row *row = conf_section_backend.rows; row->name; row++) {
        const char *a = (const char *)from + row->offset, *b = (const char *)to + row->offset;
        if (conf_types[row->type].write && !is_collection(row) && !same_leaf(row, a, b))
            return false;
    }
    return !from->health && !to->health && net_addr_equal(&from->addr, &to->addr);
}

static void plan_backend(struct plan *p, const char *prefix, const struct conf_backend *from,
                         const struct conf_backend *to)
{
    if (same_backend(from, to))
        return;
    const char *below = arena_printf(&p->scratch, "%sbackend %s: ", prefix, to->name);
    plan_section(p, below, &conf_section_backend, from, to);
    plan_backend_health(p, below, from->health, to->health);
    if (from->resolve_ms == 0 && to->resolve_ms == 0 && strcmp(from->address, to->address) == 0 &&
        !net_addr_equal(&from->addr, &to->addr)) {
        char a[NET_ADDR_STRLEN], b[NET_ADDR_STRLEN];
        plan_add(p, below,
                 arena_printf(&p->scratch, "%s resolves to %s, before to %s", to->address,
                              net_addr_format(&to->addr, b, sizeof b),
                              net_addr_format(&from->addr, a, sizeof a)));
    }
}

static void plan_backends(struct plan *p, const char *prefix, const struct conf_pool *from,
                          const struct conf_pool *to)
{
    struct names names;
    names_init(&names, &p->scratch);
    for (uint32_t i = 0; i < to->backend_count; i++)
        names_add(&names, 0, to->backends[i].name, i);
    for (uint32_t i = 0; i < from->backend_count; i++) {
        const struct conf_backend *b = &from->backends[i];
        names_add(&names, 1, b->name, i);
        if (names_find(&names, 0, b->name) == NAMES_NONE)
            backend_came_or_went(p, prefix, from, b->name, CONF_REMOVED);
    }
    for (uint32_t i = 0; i < to->backend_count; i++) {
        const struct conf_backend *b = &to->backends[i];
        uint32_t before = names_find(&names, 1, b->name);
        if (before != NAMES_NONE)
            plan_backend(p, prefix, &from->backends[before], b);
        else
            backend_came_or_went(p, prefix, to, b->name, CONF_ADDED);
    }
}

/* ---- listeners and pools ---- */

/* A kind of named object of the configuration. */
struct kind {
    const char *name;
    size_t size;
    uint32_t (*get)(const struct conf *c, const char **first);
    const char *(*name_of)(const void *object);
    void (*compare)(struct plan *p, const char *prefix, const void *from, const void *to);
};

static uint32_t get_listeners(const struct conf *c, const char **first)
{
    *first = (const char *)c->listeners;
    return c->listener_count;
}

static uint32_t get_pools(const struct conf *c, const char **first)
{
    *first = (const char *)c->pools;
    return c->pool_count;
}

static const char *name_of_listener(const void *object)
{
    const struct conf_listener *l = object;
    return l->name;
}

static const char *name_of_pool(const void *object)
{
    const struct conf_pool *p = object;
    return p->name;
}

static void compare_listeners(struct plan *p, const char *prefix, const void *from, const void *to)
{
    plan_section(p, prefix, &conf_section_listener, from, to);
    plan_routes(p, prefix, from, to);
}

static void compare_pools(struct plan *p, const char *prefix, const void *from, const void *to)
{
    plan_section(p, prefix, &conf_section_pool, from, to);
    plan_backends(p, prefix, from, to);
}

static uint32_t get_conditions(const struct conf *c, const char **first)
{
    *first = (const char *)c->conditions;
    return c->condition_count;
}

static const char *name_of_condition(const void *object)
{
    const struct conf_condition *c = object;
    return c->name;
}

static void compare_conditions(struct plan *p, const char *prefix, const void *from, const void *to)
{
    plan_section(p, prefix, &conf_section_condition, from, to);
}

static const struct kind condition_kind = {"condition", sizeof(struct conf_condition),
                                           get_conditions, name_of_condition, compare_conditions};
static const struct kind listener_kind = {"listener", sizeof(struct conf_listener), get_listeners,
                                          name_of_listener, compare_listeners};
static const struct kind pool_kind = {"pool", sizeof(struct conf_pool), get_pools, name_of_pool,
                                      compare_pools};

static void came_or_went(struct plan *p, const struct kind *k, const char *name,
                         enum conf_change_kind kind)
{
    const char *what = kind == CONF_ADDED ? "added" : "removed";
    struct conf_change *c =
        plan_add(p, "", arena_printf(&p->scratch, "%s %s %s", k->name, name, what));
    c->kind = kind;
    if (k == &listener_kind)
        c->listener = name;
    else if (k == &pool_kind)
        c->pool = name;
}

static void plan_kind(struct plan *p, const struct kind *k)
{
    static const struct conf nothing;
    const struct conf *old = p->from ? p->from : &nothing, *new = p->to ? p->to : &nothing;
    const char *from, *to;
    uint32_t from_count = k->get(old, &from), to_count = k->get(new, &to);
    struct names names;
    names_init(&names, &p->scratch);
    for (uint32_t i = 0; i < to_count; i++)
        names_add(&names, 0, k->name_of(to + i * k->size), i);
    for (uint32_t i = 0; i < from_count; i++) {
        const char *name = k->name_of(from + i * k->size);
        names_add(&names, 1, name, i);
        if (names_find(&names, 0, name) == NAMES_NONE)
            came_or_went(p, k, name, CONF_REMOVED);
    }
    for (uint32_t i = 0; i < to_count; i++) {
        const char *name = k->name_of(to + i * k->size);
        uint32_t before = names_find(&names, 1, name);
        if (before == NAMES_NONE)
            came_or_went(p, k, name, CONF_ADDED);
        else
            k->compare(p, arena_printf(&p->scratch, "%s %s: ", k->name, name),
                       from + before * k->size, to + i * k->size);
    }
}

/* ---- the whole ---- */

static void plan_admin(struct plan *p, const struct conf_admin *from, const struct conf_admin *to)
{
    const struct conf_row *row = rows_find(&conf_section_top, "admin");
    if (from->off != to->off) {
        plan_add(p, "admin: ", to->off ? "turned off" : "turned on");
        return;
    }
    plan_section(p, "admin: ", row->section, from, to);
}

/* The same path, and other contents. */
static void plan_files(struct plan *p)
{
    struct catalog files;
    catalog_init(&files, &p->scratch);
    named_files_index(p->from->files, &files);
    for (const struct conf_file *now = p->to->files; now; now = now->next) {
        const struct conf_file *before = catalog_find(&files, now->path);
        if (before && before->fingerprint != now->fingerprint)
            plan_add(p, "", arena_printf(&p->scratch, "the contents of %s change", now->path));
    }
}

struct conf_change *conf_plan(const struct conf *from, const struct conf *to, struct arena *arena)
{
    struct plan p = {.arena = arena, .from = from, .to = to};
    p.last = &p.first;
    arena_init(&p.scratch);
    out_init(&p.a, from, false);
    out_init(&p.b, to, false);
    if (from && to) {
        plan_section(&p, "", &conf_section_top, from, to);
        plan_admin(&p, &from->admin, &to->admin);
        plan_files(&p);
    }
    plan_kind(&p, &condition_kind);
    plan_kind(&p, &listener_kind);
    plan_kind(&p, &pool_kind);
    out_free(&p.a);
    out_free(&p.b);
    arena_free(&p.scratch);
    return p.first;
}
