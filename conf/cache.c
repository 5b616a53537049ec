/* conf/cache.c: how `cache` of routes and pools is read and written. */
#include "conf/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf/dump.h"
#include "conf/types.h"
#include "conf/units.h"

#define VALID_MAX   64u
#define VALID_S_MAX (365u * 86400u)
#define WANTED      "statuses and a time, such as \"200 1d\", \"301-302 404 1m\" or \"any 5s\""

/* "200", "301-302" or "any". */
static bool read_range(const char *word, size_t len, struct conf_cache_valid *out)
{
    unsigned from = 0, to = 0;
    char text[16] = "", rest;
    if (len >= sizeof text)
        return false;
    memcpy(text, word, len);
    if (strcmp(text, "any") == 0) {
        *out = (struct conf_cache_valid){.from = 200, .to = 599};
        return true;
    }
    if (strspn(text, "0123456789-") != len)
        return false;
    if (sscanf(text, "%3u-%3u%c", &from, &to, &rest) != 2) {
        if (sscanf(text, "%3u%c", &from, &rest) != 1)
            return false;
        to = from;
    }
    *out = (struct conf_cache_valid){.from = (uint16_t)from, .to = (uint16_t)to};
    return from >= 200 && to <= 599 && from <= to;
}

static const char *last_word(const char *text)
{
    const char *space = strrchr(text, ' ');
    return space ? space + 1 : NULL;
}

/* One string: all but the last word are statuses. False: not of this form. */
static bool read_valid(struct walk *w, const struct node *n, const struct walk_at *at,
                       struct types_list *list)
{
    uint64_t ms = 0;
    struct conf_cache_valid *items = list->items;
    const char *time = n->kind == NODE_STRING ? last_word(n->text) : NULL;
    if (!time || units_parse(UNITS_DURATION, time, &ms) != UNITS_OK)
        return false;
    if (ms < 1000 || ms / 1000 > VALID_S_MAX)
        walk_error(w, n->pos, at, "\"%.60s\": a time from \"1s\" to \"365d\" is wanted", n->text);
    for (const char *word = n->text; word < time;) {
        size_t len = strcspn(word, " ");
        if (len && (list->count == VALID_MAX || !read_range(word, len, &items[list->count])))
            return false;
        if (len)
            items[list->count++].seconds = (uint32_t)(ms / 1000);
        word += len + strspn(word + len, " ");
    }
    return list->count > 0;
}

void value_read_cache_valid(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                            const struct walk_at *at, void *field)
{
    struct types_list *list = field;
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    list->items = ARENA_ARRAY(w->arena, struct conf_cache_valid, VALID_MAX);
    list->count = 0;
    if (count == 1 && first->kind == NODE_STRING && !*first->text)
        return; /* the default: none */
    for (uint32_t i = 0; i < count; i++) {
        struct walk_at element = {.up = at, .index = i};
        if (!read_valid(w, &first[i], first == n ? at : &element, list)) {
            walk_error_kind(w, &first[i], first == n ? at : &element, WANTED);
            return;
        }
    }
}

void write_cache_valid(struct out *o, const struct conf_row *row, const void *field)
{
    const struct types_list *list = field;
    const struct conf_cache_valid *v = list->items;
    out_array(o, row->name);
    for (uint32_t i = 0; i < list->count; i++) {
        char text[UNITS_STRLEN + 16], time[UNITS_STRLEN];
        units_format(UNITS_DURATION, v[i].seconds * 1000ull, time);
        if (v[i].from == 200 && v[i].to == 599)
            snprintf(text, sizeof text, "any %s", time);
        else if (v[i].from == v[i].to)
            snprintf(text, sizeof text, "%u %s", v[i].from, time);
        else
            snprintf(text, sizeof text, "%u-%u %s", v[i].from, v[i].to, time);
        out_string(o, NULL, text);
    }
    out_array_end(o);
}

void object_read_cache(struct walk *w, const struct conf_row *row, const struct node *n,
                       const struct walk_at *at, void *field)
{
    struct conf_cache *c = ARENA_NEW(w->arena, struct conf_cache);
    struct conf_cache **out = field;
    if (*out)
        *c = **out;
    else
        walk_fill_defaults(w, row->section, c);
    c->off = n->kind == NODE_STRING && strcmp(n->text, "off") == 0;
    if (!c->off && n->kind != NODE_GROUP)
        walk_error_kind(w, n, at, "a group { } or \"off\"");
    else if (!c->off)
        walk_group(w, n, at, &(struct walk_target){row->section, (char *)c}, 1);
    w->conf->cache.wanted |= !c->off;
    *out = c;
}

void write_cache(struct out *o, const struct conf_row *row, const void *field)
{
    const struct conf_cache *const *c = field;
    if (*c && (*c)->off) {
        out_string(o, row->name, "off");
    } else if (*c) {
        out_group(o, row->name);
        dump_section(o, row->section, *c);
        out_group_end(o);
    }
}
