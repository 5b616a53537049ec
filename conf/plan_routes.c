/* Routes have no names: they are matched by what requests they take. */
#include <stddef.h>
#include <string.h>
#include "conf/plan_int.h"

enum side { FROM, TO };

struct sides {
    struct plan *p;
    const char *prefix;
    struct names labels, keys;
    const char **of[2]; /* keys by place in the file */
};

/* From `match` to `unless` stands what a request must be like. */
static bool is_condition(const struct conf_row *row)
{
    return row->offset >= offsetof(struct conf_route, match) &&
           row->offset < offsetof(struct conf_route, when_of);
}

/* `host "a.example", path "/x"` */
static const char *label_of(struct plan *p, struct out *o, const struct conf_route *r)
{
    const char *text = "";
    for (const struct conf_row *row = conf_section_route.rows; row->name; row++) {
        const char *field = (const char *)r + row->offset;
        if (!is_condition(row) || !conf_types[row->type].write || dump_is_unset(row, field))
            continue;
        text = arena_printf(&p->scratch, "%s%s%s %s", text, *text ? ", " : "", row->name,
                            plan_render(o, row, field));
    }
    return *text ? text : "of everything";
}

/* The second of the same conditions is another route than the first. */
static const char *key_of(struct sides *s, enum side side, const char *label)
{
    const char *key = label;
    for (uint32_t n = 2; names_add(&s->keys, side, key, 0) != NAMES_NONE; n++)
        key = arena_printf(&s->p->scratch, "%s (%u)", label, n);
    return key;
}

/* The routes of one side that are looked at. */
struct span {
    const struct conf_route *items;
    uint32_t count;
};

static struct span all_of(const struct conf_listener *l)
{
    return l->routes ? (struct span){l->routes->items, l->routes->count} : (struct span){0};
}

static void name_all(struct sides *s, enum side side, struct span routes)
{
    s->of[side] = arena_alloc(&s->p->scratch, (routes.count + 1) * sizeof *s->of[side]);
    for (uint32_t i = 0; i < routes.count; i++) {
        const char *label = label_of(s->p, side == FROM ? &s->p->a : &s->p->b, &routes.items[i]);
        s->of[side][i] = key_of(s, side, label);
        (void)names_add(&s->labels, side, s->of[side][i], i);
    }
}

static void came_or_went(struct sides *s, const char *key, enum conf_change_kind kind)
{
    const char *what = kind == CONF_ADDED ? "added" : "removed";
    plan_add(s->p, s->prefix, arena_printf(&s->p->scratch, "route %s %s", key, what))->kind = kind;
}

static void compare(struct sides *s, const char *key, const struct conf_route *from,
                    const struct conf_route *to)
{
    const char *below = arena_printf(&s->p->scratch, "%sroute %s: ", s->prefix, key);
    plan_section(s->p, below, &conf_section_route, from, to);
}

static bool same_words(struct plan *p, const struct conf_route *from, const struct conf_route *to)
{
    out_reset(&p->a);
    out_reset(&p->b);
    dump_section(&p->a, &conf_section_route, from);
    dump_section(&p->b, &conf_section_route, to);
    return strcmp(p->a.buf, p->b.buf) == 0;
}

/* What begins and ends alike is left out: naming all of many routes would take long. */
static void skip_same(struct plan *p, struct span *from, struct span *to)
{
    while (from->count && to->count && same_words(p, from->items, to->items)) {
        from->items++, from->count--;
        to->items++, to->count--;
    }
    while (from->count && to->count &&
           same_words(p, &from->items[from->count - 1], &to->items[to->count - 1]))
        from->count--, to->count--;
}

void plan_routes(struct plan *p, const char *prefix, const struct conf_listener *from,
                 const struct conf_listener *to)
{
    struct span a = all_of(from), b = all_of(to);
    struct sides s = {.p = p, .prefix = prefix};
    uint32_t latest = 0;
    bool moved = false;
    skip_same(p, &a, &b);
    names_init(&s.labels, &p->scratch);
    names_init(&s.keys, &p->scratch);
    name_all(&s, FROM, a);
    name_all(&s, TO, b);
    for (uint32_t i = 0; i < a.count; i++)
        if (names_find(&s.labels, TO, s.of[FROM][i]) == NAMES_NONE)
            came_or_went(&s, s.of[FROM][i], CONF_REMOVED);
    for (uint32_t i = 0; i < b.count; i++) {
        uint32_t before = names_find(&s.labels, FROM, s.of[TO][i]);
        if (before == NAMES_NONE) {
            came_or_went(&s, s.of[TO][i], CONF_ADDED);
            continue;
        }
        moved |= before < latest;
        latest = before;
        compare(&s, s.of[TO][i], &a.items[before], &b.items[i]);
    }
    if (moved)
        plan_add(p, prefix, "routes: their order changes");
}
