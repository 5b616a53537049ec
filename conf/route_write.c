/* How routes are written out, for `ballast show` and GET /lb/config. */
#include <stdio.h>
#include "conf/dump.h"
#include "conf/route.h"
#include "conf/types.h"

void write_strings(struct out *o, const struct conf_row *row, const void *field)
{
    const struct types_list *list = field;
    const char *const *texts = list->items;
    out_array(o, row->name);
    for (uint32_t i = 0; i < list->count; i++)
        out_string(o, NULL, texts[i]);
    out_array_end(o);
}

void write_named(struct out *o, const struct conf_row *row, const void *field)
{
    const struct types_list *list = field;
    const struct conf_named *pairs = list->items;
    out_tuple(o, row->name);
    for (uint32_t i = 0; i < list->count; i++) {
        out_array(o, NULL);
        out_string(o, NULL, pairs[i].name);
        if (pairs[i].value)
            out_string(o, NULL, pairs[i].value);
        out_array_end(o);
    }
    out_tuple_end(o);
}

void write_statuses(struct out *o, const struct conf_row *row, const void *field)
{
    const struct types_list *list = field;
    const struct conf_status_range *ranges = list->items;
    out_array(o, row->name);
    for (uint32_t i = 0; i < list->count; i++) {
        char text[16];
        snprintf(text, sizeof text, ranges[i].from == ranges[i].to ? "%u" : "%u-%u", ranges[i].from,
                 ranges[i].to);
        out_string(o, NULL, text);
    }
    out_array_end(o);
}

static void write_element(struct out *o, const struct conf_section *section, const void *element)
{
    out_group(o, NULL);
    dump_section(o, section, element);
    out_group_end(o);
}

void write_split(struct out *o, const struct conf_row *row, const void *field)
{
    const struct types_list *list = field;
    const struct conf_split *parts = list->items;
    out_tuple(o, row->name);
    for (uint32_t i = 0; i < list->count; i++)
        write_element(o, row->section, &parts[i]);
    out_tuple_end(o);
}

void write_error_pages(struct out *o, const struct conf_row *row, const void *field)
{
    const struct types_list *list = field;
    const struct conf_error_page *pages = list->items;
    out_tuple(o, row->name);
    for (uint32_t i = 0; i < list->count; i++)
        write_element(o, row->section, &pages[i]);
    out_tuple_end(o);
}

void write_conditions(struct out *o, const struct conf_row *row, const void *field UNUSED)
{
    out_group(o, row->name);
    for (uint32_t i = 0; i < o->conf->condition_count; i++) {
        out_group(o, o->conf->conditions[i].name);
        dump_section(o, row->section, &o->conf->conditions[i]);
        out_group_end(o);
    }
    out_group_end(o);
}

void write_routes(struct out *o, const struct conf_row *row, const void *field)
{
    const struct conf_routes *const *routes = field;
    out_list(o, row->name);
    for (uint32_t i = 0; i < (*routes)->count; i++)
        write_element(o, row->section, &(*routes)->items[i]);
    out_list_end(o);
}
