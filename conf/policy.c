/* conf/policy.c: how failure sets, percentages and the circuit breaker are read and written. */
#include "conf/policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf/dump.h"
#include "conf/types.h"

#define WANTED "\"connect\", \"reset\", \"timeout\", or statuses such as \"503\" and \"500-504\""

static const char *const names[CONF_FAILURE_NAMES] = {[CONF_FAILURE_CONNECT] = "connect",
                                                      [CONF_FAILURE_RESET] = "reset",
                                                      [CONF_FAILURE_TIMEOUT] = "timeout"};

static void set_range(struct conf_failures *set, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++)
        set->bits[i / 64] |= 1ull << (i % 64);
}

/* Three digits and the end of the word, or of the first half of a range. */
static unsigned to_status(const char *s, size_t len)
{
    if (len != 3 || strspn(s, "0123456789") < 3 || s[0] < '1' || s[0] > '5')
        return 0;
    return (unsigned)((s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0'));
}

/* One word: a name, "503" or "500-504". */
static bool add_word(struct conf_failures *set, const char *word, size_t len)
{
    for (unsigned i = 0; i < CONF_FAILURE_NAMES; i++)
        if (strlen(names[i]) == len && memcmp(word, names[i], len) == 0) {
            set_range(set, i, i);
            return true;
        }
    const char *dash = memchr(word, '-', len);
    size_t first = dash ? (size_t)(dash - word) : len;
    unsigned from = to_status(word, first);
    unsigned to = dash ? to_status(dash + 1, len - first - 1) : from;
    if (from == 0 || to < from)
        return false;
    set_range(set, from, to);
    return true;
}

/* A word, or several behind commas. */
static bool add_words(struct conf_failures *set, const char *text)
{
    while (*text) {
        text += strspn(text, " ");
        size_t len = strcspn(text, ", ");
        if (!add_word(set, text, len))
            return false;
        text += len;
        text += strspn(text, ", ");
    }
    return true;
}

void value_read_failures(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                         const struct walk_at *at, void *field)
{
    struct conf_failures set = {0};
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    for (uint32_t i = 0; i < count; i++) {
        struct walk_at element = {.up = at, .index = i};
        if (first[i].kind == NODE_STRING && *first[i].text && add_words(&set, first[i].text))
            continue;
        walk_error_kind(w, &first[i], first == n ? at : &element, WANTED);
        return;
    }
    memcpy(field, &set, sizeof set);
}

static unsigned range_end(const struct conf_failures *set, unsigned from)
{
    unsigned to = from;
    while (conf_failures_has(set, to + 1))
        to++;
    return to;
}

void write_failures(struct out *o, const struct conf_row *row, const void *field)
{
    const struct conf_failures *set = field;
    out_array(o, row->name);
    for (unsigned i = 0; i < CONF_FAILURE_NAMES; i++)
        if (conf_failures_has(set, i))
            out_string(o, NULL, names[i]);
    for (unsigned i = CONF_FAILURE_STATUS; i < CONF_FAILURE_COUNT; i++) {
        char text[24];
        if (!conf_failures_has(set, i))
            continue;
        unsigned to = range_end(set, i);
        snprintf(text, sizeof text, to == i ? "%u" : "%u-%u", i, to);
        out_string(o, NULL, text);
        i = to;
    }
    out_array_end(o);
}

void value_read_percent(struct walk *w, const struct conf_row *row, const struct node *n,
                        const struct walk_at *at, void *field)
{
    char *end = NULL;
    unsigned long value = 0;
    if (n->kind == NODE_NUMBER) {
        walk_error(w, n->pos, at, "%" PRId64 " needs its unit: \"%" PRId64 "%%\"", n->number,
                   n->number);
        return;
    }
    if (n->kind == NODE_STRING && *n->text >= '0' && *n->text <= '9')
        value = strtoul(n->text, &end, 10);
    if (!end || strcmp(end, "%") != 0)
        walk_error_kind(w, n, at, "a percentage such as \"20%\"");
    else if (value < row->min || value > row->max)
        walk_error(w, n->pos, at,
                   "\"%.20s\" is out of range: \"%" PRIu64 "%%\" to \"%" PRIu64 "%%\"", n->text,
                   row->min, row->max);
    else
        types_set(field, row->width, value);
}

void write_percent(struct out *o, const struct conf_row *row, const void *field)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64 "%%", types_get(field, row->width));
    out_string(o, row->name, text);
}

void object_read_breaker(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                         const struct walk_at *at, void *field)
{
    struct conf_breaker *b = ARENA_NEW(w->arena, struct conf_breaker);
    struct conf_breaker **out = field;
    if (n->kind == NODE_STRING && strcmp(n->text, "off") == 0) {
        *out = NULL; /* what `defaults` said is not for this one */
        return;
    }
    if (*out)
        *b = **out;
    else
        walk_fill_defaults(w, &conf_section_breaker, b);
    walk_group(w, n, at, &(struct walk_target){&conf_section_breaker, (char *)b}, 1);
    *out = b;
}

void write_breaker(struct out *o, const struct conf_row *row, const void *field)
{
    const struct conf_breaker *const *b = field;
    if (!*b)
        return;
    out_group(o, row->name);
    dump_section(o, row->section, *b);
    out_group_end(o);
}

/* ---- sessions ---- */

/* A token (RFC 9110 5.6.2): cookies and fields are named so. */
static bool is_token(const char *s)
{
    return *s && s[strspn(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

static void check_sticky(struct walk *w, const struct node *n, const struct walk_at *at,
                         struct conf_sticky *s)
{
    bool named = s->type == CONF_STICKY_APP_COOKIE || s->type == CONF_STICKY_HEADER;
    if ((uintptr_t)s->name == UINTPTR_MAX) {
        s->name = "SERVERID";
        if (named)
            walk_error(w, n->pos, at, "type \"%s\" needs a \"name\"",
                       s->type == CONF_STICKY_HEADER ? "header" : "app_cookie");
    } else if (!is_token(s->name)) {
        walk_error(w, n->pos, at, "\"%.64s\" cannot be the name of a %s", s->name,
                   s->type == CONF_STICKY_HEADER ? "header field" : "cookie");
    }
    if (strpbrk(s->path, "; ,\"\\"))
        walk_error(w, n->pos, at, "path: \"%.64s\" cannot stand in a cookie", s->path);
    s->name = arena_strdup(w->arena, s->name);
    s->key = arena_printf(w->arena, "header:%s", s->name);
}

void object_read_sticky(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                        const struct walk_at *at, void *field)
{
    struct conf_sticky *s = ARENA_NEW(w->arena, struct conf_sticky);
    struct conf_sticky **out = field;
    if (n->kind == NODE_STRING && strcmp(n->text, "off") == 0) {
        *out = NULL;
        return;
    }
    if (*out)
        *s = **out;
    else
        walk_fill_defaults(w, &conf_section_sticky, s);
    walk_group(w, n, at, &(struct walk_target){&conf_section_sticky, (char *)s}, 1);
    if (n->kind != NODE_GROUP)
        return;
    check_sticky(w, n, at, s);
    *out = s;
}
