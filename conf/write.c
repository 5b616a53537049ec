/* How fields are written out, for `ballast show`, GET /lb/config and the plan. */
#include <arpa/inet.h>
#include <stdio.h>
#include "conf/dump.h"
#include "conf/types.h"
#include "conf/units.h"

void write_string(struct out *o, const struct conf_row *row, const void *field)
{
    const char *const *text = field;
    out_string(o, row->name, *text);
}

void write_number(struct out *o, const struct conf_row *row, const void *field)
{
    out_number(o, row->name, types_get(field, row->width));
}

void write_factor(struct out *o, const struct conf_row *row, const void *field)
{
    out_factor(o, row->name, types_get(field, row->width));
}

void write_bool(struct out *o, const struct conf_row *row, const void *field)
{
    out_bool(o, row->name, types_get(field, row->width) != 0);
}

void write_duration(struct out *o, const struct conf_row *row, const void *field)
{
    char text[UNITS_STRLEN];
    out_string(o, row->name, units_format(UNITS_DURATION, types_get(field, row->width), text));
}

void write_size(struct out *o, const struct conf_row *row, const void *field)
{
    char text[UNITS_STRLEN];
    out_string(o, row->name, units_format(UNITS_SIZE, types_get(field, row->width), text));
}

void write_enum(struct out *o, const struct conf_row *row, const void *field)
{
    out_string(o, row->name, row->names[types_get(field, row->width)]);
}

void write_workers(struct out *o, const struct conf_row *row, const void *field)
{
    const struct conf *c = field;
    if (c->workers_auto)
        out_string(o, row->name, "auto");
    else
        out_number(o, row->name, c->workers);
}

void write_pool(struct out *o, const struct conf_row *row, const void *field)
{
    const uint32_t *index = field;
    out_string(o, row->name, *index < o->conf->pool_count ? o->conf->pools[*index].name : "");
}

/* ---- lists ---- */

void write_texts(struct out *o, const struct conf_row *row, const void *field)
{
    const struct types_list *list = field;
    const char *const *texts = list->items;
    out_array(o, row->name);
    for (uint32_t i = 0; i < list->count; i++)
        out_string(o, NULL, texts[i]);
    out_array_end(o);
}

void write_binds(struct out *o, const struct conf_row *row, const void *field)
{
    const struct types_list *list = field;
    const struct conf_bind *binds = list->items;
    out_array(o, row->name);
    for (uint32_t i = 0; i < list->count; i++)
        out_string(o, NULL, binds[i].text);
    out_array_end(o);
}

void write_cidrs(struct out *o, const struct conf_row *row, const void *field)
{
    const struct types_list *list = field;
    const struct net_cidr *cidrs = list->items;
    out_array(o, row->name);
    for (uint32_t i = 0; i < list->count; i++) {
        char address[INET6_ADDRSTRLEN] = "", text[INET6_ADDRSTRLEN + 8];
        inet_ntop(cidrs[i].family, cidrs[i].bytes, address, sizeof address);
        snprintf(text, sizeof text, "%s/%u", address, cidrs[i].prefix_bits);
        out_string(o, NULL, text);
    }
    out_array_end(o);
}

static void write_status(struct out *o, const struct conf_status_range *r)
{
    char text[16];
    if (r->from == r->to)
        snprintf(text, sizeof text, "%u", r->from);
    else
        snprintf(text, sizeof text, "%u-%u", r->from, r->to);
    out_string(o, NULL, text);
}

void write_expect(struct out *o, const struct conf_row *row, const void *field)
{
    const struct conf_health *h =
        (const void *)((const char *)field - offsetof(struct conf_health, expect_texts));
    out_array(o, row->name);
    for (uint32_t i = 0; i < h->expect_count; i++)
        write_status(o, &h->expect[i]);
    for (uint32_t i = 0; i < h->expect_text_count && h->expect_count == 0; i++)
        out_string(o, NULL, h->expect_texts[i].text);
    out_array_end(o);
}

/* ---- groups ---- */

void write_group(struct out *o, const struct conf_row *row, const void *field)
{
    out_group(o, row->name);
    dump_section(o, row->section, field);
    out_group_end(o);
}

/* A group behind a pointer: written where it is. */
void write_optional(struct out *o, const struct conf_row *row, const void *field)
{
    const void *const *group = field;
    if (*group)
        write_group(o, row, *group);
}

void write_certificates(struct out *o, const struct conf_row *row, const void *field)
{
    const struct types_list *list = field;
    const struct conf_certificate *c = list->items;
    out_list(o, row->name);
    for (uint32_t i = 0; i < list->count; i++) {
        out_group(o, NULL);
        dump_section(o, row->section, &c[i]);
        out_group_end(o);
    }
    out_list_end(o);
}

void write_admin(struct out *o, const struct conf_row *row, const void *field)
{
    const struct conf_admin *admin = field;
    if (admin->off)
        out_string(o, row->name, "off");
    else
        write_group(o, row, field);
}

void write_listeners(struct out *o, const struct conf_row *row, const void *field UNUSED)
{
    out_group(o, row->name);
    for (uint32_t i = 0; i < o->conf->listener_count; i++) {
        const struct conf_listener *l = &o->conf->listeners[i];
        out_group(o, l->name);
        o->kind = types_listener_kind(l);
        dump_section(o, row->section, l);
        o->kind = 0;
        out_group_end(o);
    }
    out_group_end(o);
}

void write_pools(struct out *o, const struct conf_row *row, const void *field UNUSED)
{
    out_group(o, row->name);
    for (uint32_t i = 0; i < o->conf->pool_count; i++) {
        out_group(o, o->conf->pools[i].name);
        dump_section(o, row->section, &o->conf->pools[i]);
        out_group_end(o);
    }
    out_group_end(o);
}

void write_backends(struct out *o, const struct conf_row *row, const void *field)
{
    const struct conf_pool *p =
        (const void *)((const char *)field - offsetof(struct conf_pool, backends));
    out_list(o, row->name);
    for (uint32_t i = 0; i < p->backend_count; i++) {
        out_group(o, NULL);
        dump_section(o, row->section, &p->backends[i]);
        out_group_end(o);
    }
    out_list_end(o);
}
