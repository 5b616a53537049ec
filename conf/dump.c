#include "conf/dump.h"

#include <inttypes.h>
#include <string.h>
#include "conf/types.h"
#include "conf/units.h"

/* Nothing was said: all bits of the field are 0, or 1 as in INDEX_NONE. */
bool dump_is_unset(const struct conf_row *row, const void *field)
{
    const unsigned char *bytes = field;
    if (!(row->flags & CONF_OMIT))
        return false;
    if (row->type == CONF_T_POOL) /* the first one is 0 */
        return types_get(field, row->width) == UINT32_MAX;
    for (uint32_t i = 1; i < row->width; i++)
        if (bytes[i] != bytes[0])
            return false;
    return row->width == 0 || bytes[0] == 0 || bytes[0] == 0xff;
}

void dump_section(struct out *o, const struct conf_section *section, const void *base)
{
    for (const struct conf_row *row = section->rows; row->name; row++) {
        conf_write_fn *write = conf_types[row->type].write;
        const char *field = (const char *)base + row->offset;
        if (write && rows_fit(row, o->kind) && rows_apply(section, row, base) &&
            !dump_is_unset(row, field))
            write(o, row, field);
    }
}

static char *dump(const struct conf *c, bool is_json)
{
    struct out o;
    out_init(&o, c, is_json);
    dump_section(&o, &conf_section_top, c);
    return out_finish(&o);
}

char *conf_dump_text(const struct conf *c)
{
    return dump(c, false);
}

char *conf_dump_json(const struct conf *c)
{
    return dump(c, true);
}

/* ---- documentation ---- */

static void write_names(struct out *o, const char *const *names)
{
    for (size_t i = 0; names[i]; i++)
        out_text(o, "%s`%s`", i ? ", " : "", names[i]);
}

void dump_row_type(struct out *o, const struct conf_row *row)
{
    if (row->names)
        write_names(o, row->names);
    else
        out_text(o, "%s", conf_types[row->type].doc ? conf_types[row->type].doc : "group");
}

void dump_row_default(struct out *o, const struct conf_row *row)
{
    enum node_kind literal = conf_types[row->type].literal;
    if (row->flags & CONF_REQUIRED)
        out_text(o, "required");
    else if (!row->fallback)
        out_text(o, " ");
    else if (row->flags & CONF_DERIVED)
        out_text(o, "%s", row->fallback);
    else if (literal == NODE_ARRAY)
        out_text(o, "`[ ]`");
    else if (literal == NODE_LIST)
        out_text(o, "`( )`");
    else
        out_text(o, literal == NODE_STRING ? "`\"%s\"`" : "`%s`", row->fallback);
}

void dump_row_bounds(struct out *o, const struct conf_row *row)
{
    char low[UNITS_STRLEN], high[UNITS_STRLEN];
    enum units_kind kind = row->type == CONF_T_SIZE ? UNITS_SIZE : UNITS_DURATION;
    if (row->type == CONF_T_NUMBER || row->type == CONF_T_WORKERS)
        out_text(o, "%" PRIu64 " to %" PRIu64, row->min, row->max);
    else if (row->type == CONF_T_DURATION || row->type == CONF_T_SIZE)
        out_text(o, "%s to %s", units_format(kind, row->min, low),
                 units_format(kind, row->max, high));
    else
        out_text(o, " ");
}

void dump_row_help(struct out *o, const struct conf_row *row)
{
    if (row->help)
        out_text(o, "%s", row->help);
    else
        out_text(o, "See `%s`", row->section->path);
    if (row->flags & CONF_HTTP_ONLY)
        out_text(o, " (http only)");
    else if (row->needs & CONF_KIND_PROXY)
        out_text(o, " (tcp: only with `proxy_protocol`)");
    else if (row->needs == CONF_KIND_UDP)
        out_text(o, " (udp only)");
}

static void write_later(struct out *o, const struct conf_section *section)
{
    unsigned count = 0;
    for (const struct conf_row *row = section->rows; row->name; row++)
        if (row->type == CONF_T_LATER)
            out_text(o, "%s`%s`",
                     count++ ? ", " : "\nReserved, and refused by this version: ", row->name);
    for (const struct conf_row *row = section->rows; row->name; row++) {
        if (!row->later)
            continue;
        out_text(
            o, "%s%s = ", count++ ? ", " : "\nReserved, and refused by this version: ", row->name);
        write_names(o, row->later);
    }
    if (count)
        out_text(o, ".\n");
}

static void write_section(struct out *o, const struct conf_section *section)
{
    out_text(o, "### %s\n\n%s\n\n", *section->path ? section->path : "Top level", section->help);
    out_text(o, "| setting | value | default | bounds | meaning |\n");
    out_text(o, "| --- | --- | --- | --- | --- |\n");
    for (const struct conf_row *row = section->rows; row->name; row++) {
        if (row->type == CONF_T_LATER)
            continue;
        out_text(o, "| `%s` | ", row->name);
        dump_row_type(o, row);
        out_text(o, " | ");
        dump_row_default(o, row);
        out_text(o, " | ");
        dump_row_bounds(o, row);
        out_text(o, " | ");
        dump_row_help(o, row);
        out_text(o, " |\n");
    }
    write_later(o, section);
}

char *conf_dump_options_markdown(void)
{
    struct out o;
    out_init(&o, NULL, false);
    for (size_t i = 0; conf_sections[i]; i++) {
        if (i)
            out_text(&o, "\n");
        write_section(&o, conf_sections[i]);
    }
    return out_finish(&o);
}
