/* How plain values are read: numbers, booleans, durations, sizes, names out of a list. */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "conf/suggest.h"
#include "conf/types.h"
#include "conf/units.h"

void value_read_number(struct walk *w, const struct conf_row *row, const struct node *n,
                       const struct walk_at *at, void *field)
{
    if (n->kind != NODE_NUMBER)
        walk_error_kind(w, n, at, "a whole number");
    else if (n->number < 0 || (uint64_t)n->number < row->min || (uint64_t)n->number > row->max)
        walk_error(w, n->pos, at, "%" PRId64 " is out of range: %" PRIu64 " to %" PRIu64, n->number,
                   row->min, row->max);
    else
        types_set(field, row->width, (uint64_t)n->number);
}

void value_read_factor(struct walk *w, const struct conf_row *row, const struct node *n,
                       const struct walk_at *at, void *field)
{
    int64_t milli = n->kind == NODE_NUMBER && n->number < INT32_MAX ? n->number * 1000 : n->number;
    if (n->kind != NODE_NUMBER && n->kind != NODE_FRACTION)
        walk_error_kind(w, n, at, "a number such as 1.25");
    else if (milli != 0 && (milli < (int64_t)row->min || milli > (int64_t)row->max))
        walk_error(w, n->pos, at, "is out of range: %" PRIu64 ".%03" PRIu64 " to %" PRIu64 ", or 0",
                   row->min / 1000, row->min % 1000, row->max / 1000);
    else
        types_set(field, row->width, (uint64_t)milli);
}

void value_read_bool(struct walk *w, const struct conf_row *row, const struct node *n,
                     const struct walk_at *at, void *field)
{
    if (n->kind != NODE_BOOL)
        walk_error_kind(w, n, at, "true or false");
    else
        types_set(field, row->width, n->number != 0);
}

/* ---- units ---- */

static const char *units_wanted(enum units_kind kind)
{
    return kind == UNITS_DURATION ? "a duration such as \"200ms\", \"5s\", \"10m\" or \"1h\""
                                  : "a size such as \"512b\", \"64k\", \"50m\" or \"1g\"";
}

static void report_bare(struct walk *w, const struct node *n, const struct walk_at *at,
                        enum units_kind kind, const char *number)
{
    const char *first = kind == UNITS_DURATION ? "s" : "k";
    const char *second = kind == UNITS_DURATION ? "ms" : "m";
    walk_error(w, n->pos, at, "%.40s needs a unit, such as \"%.40s%s\" or \"%.40s%s\"", number,
               number, first, number, second);
}

static void read_units(struct walk *w, const struct conf_row *row, const struct node *n,
                       const struct walk_at *at, void *field, enum units_kind kind)
{
    char low[UNITS_STRLEN], high[UNITS_STRLEN];
    uint64_t value = 0;
    if (n->kind == NODE_NUMBER) {
        report_bare(w, n, at, kind, arena_printf(w->scratch, "%" PRId64, n->number));
        return;
    }
    if (n->kind != NODE_STRING) {
        walk_error_kind(w, n, at, units_wanted(kind));
        return;
    }
    enum units_result result = units_parse(kind, n->text, &value);
    if (result == UNITS_BARE)
        report_bare(w, n, at, kind, n->text);
    else if (result == UNITS_BAD)
        walk_error_kind(w, n, at, units_wanted(kind));
    else if (result == UNITS_HUGE || value < row->min || value > row->max)
        walk_error(w, n->pos, at, "\"%.40s\" is out of range: \"%s\" to \"%s\"", n->text,
                   units_format(kind, row->min, low), units_format(kind, row->max, high));
    else
        types_set(field, row->width, value);
}

void value_read_duration(struct walk *w, const struct conf_row *row, const struct node *n,
                         const struct walk_at *at, void *field)
{
    read_units(w, row, n, at, field, UNITS_DURATION);
}

void value_read_size(struct walk *w, const struct conf_row *row, const struct node *n,
                     const struct walk_at *at, void *field)
{
    read_units(w, row, n, at, field, UNITS_SIZE);
}

/* ---- one of a list of names ---- */

/* Index of name, or -1. */
static int find_name(const char *const *names, const char *name)
{
    for (int i = 0; names && names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static const char *join_names(struct walk *w, const char *const *names)
{
    const char *joined = names[0];
    for (size_t i = 1; names[i]; i++)
        joined = arena_printf(w->scratch, "%s, %s", joined, names[i]);
    return joined;
}

static void report_unknown_name(struct walk *w, const struct conf_row *row, const struct node *n,
                                const struct walk_at *at)
{
    struct suggest s;
    suggest_init(&s, n->text);
    for (size_t i = 0; row->names[i]; i++)
        suggest_offer(&s, row->names[i]);
    walk_error(w, n->pos, at, "\"%.60s\" is not one of: %s%s%s%s", n->text,
               join_names(w, row->names), s.best ? "; did you mean \"" : "", s.best ? s.best : "",
               s.best ? "\"?" : "");
}

/* Index of the name that n says, or -1 after a complaint. */
static int read_name(struct walk *w, const struct conf_row *row, const struct node *n,
                     const struct walk_at *at)
{
    if (n->kind != NODE_STRING) {
        walk_error_kind(w, n, at,
                        arena_printf(w->scratch, "one of: %s", join_names(w, row->names)));
        return -1;
    }
    int found = find_name(row->names, n->text);
    if (found == -1 && find_name(row->later, n->text) != -1)
        walk_error(w, n->pos, at, "\"%s\" is not supported yet", n->text);
    else if (found == -1)
        report_unknown_name(w, row, n, at);
    return found;
}

void value_read_enum(struct walk *w, const struct conf_row *row, const struct node *n,
                     const struct walk_at *at, void *field)
{
    int found = read_name(w, row, n, at);
    if (found != -1)
        types_set(field, row->width, (uint64_t)found);
}

void value_read_choice(struct walk *w, const struct conf_row *row, const struct node *n,
                       const struct walk_at *at, void *field)
{
    const char **text = field;
    int found = read_name(w, row, n, at);
    if (found != -1)
        *text = arena_strdup(w->arena, row->names[found]);
}

/* ---- workers ---- */

static uint32_t count_cpus(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}

void value_read_workers(struct walk *w, const struct conf_row *row, const struct node *n,
                        const struct walk_at *at, void *field)
{
    struct conf *c = field;
    bool automatic = n->kind == NODE_STRING && strcmp(n->text, "auto") == 0;
    if (automatic) {
        uint32_t cpus = count_cpus();
        c->workers = cpus < row->max ? cpus : (uint32_t)row->max;
    } else if (n->kind != NODE_NUMBER) {
        walk_error_kind(w, n, at, "a whole number or \"auto\"");
    } else {
        struct conf_row plain = *row;
        plain.width = sizeof c->workers;
        value_read_number(w, &plain, n, at, &c->workers);
    }
    c->workers_auto = automatic;
}
