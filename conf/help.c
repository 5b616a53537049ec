/* conf/help.c: settings explained one by one, for a terminal. */
#include <stdlib.h>
#include <string.h>
#include "conf/dump.h"
#include "conf/suggest.h"

#define WIDTH      78u
#define PATH_BYTES 128u

/* "pools.*.health" and "interval": pools.health.interval, which is what people write. */
static void plain_path(const struct conf_section *section, const char *name, char out[PATH_BYTES])
{
    size_t len = 0;
    for (const char *at = section->path; *at && len + 2 < PATH_BYTES;) {
        if (at[0] == '*' && (at[1] == '.' || at[1] == '\0')) {
            at += at[1] == '.' ? 2 : 1;
            continue;
        }
        out[len++] = *at++;
    }
    while (len > 0 && out[len - 1] == '.')
        len--;
    for (const char *sep = len && *name ? "." : ""; *sep && len + 2 < PATH_BYTES; sep++)
        out[len++] = *sep;
    for (; *name && len + 1 < PATH_BYTES; name++)
        out[len++] = *name;
    out[len] = '\0';
}

/* Is it the path, or its end from a dot on? */
static bool ends_with(const char *path, const char *name)
{
    size_t path_len = strlen(path), len = strlen(name);
    return len > 0 && len <= path_len && strcmp(path + path_len - len, name) == 0 &&
           (len == path_len || path[path_len - len - 1] == '.');
}

static bool is_meant(const struct conf_section *section, const struct conf_row *row,
                     const char *name)
{
    char path[PATH_BYTES], group[PATH_BYTES];
    plain_path(section, row->name, path);
    plain_path(section, "", group);
    return ends_with(path, name) || ends_with(group, name);
}

/* Does another product call it so? */
static bool is_alias(const struct conf_row *row, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = row->also; at && *at && len > 0;) {
        size_t word = strcspn(at, " ");
        if (word == len && strncmp(at, name, len) == 0)
            return true;
        at += word + strspn(at + word, " ");
    }
    return false;
}

/* A paragraph, indented, no line longer than WIDTH if words allow. */
static void write_paragraph(struct out *o, const char *text)
{
    size_t column = 0;
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        size_t word = strcspn(text, " ");
        bool begins = column == 0 || column + 1 + word > WIDTH;
        out_text(o, "%s%s%.*s", begins && column ? "\n" : "", begins ? "    " : " ", (int)word,
                 text);
        column = begins ? 4 + word : column + 1 + word;
        text += word;
    }
    out_text(o, "\n");
}

/* What dump.c writes about a row for Markdown, without its marks; malloc'd. */
static char *plain(const struct conf_row *row,
                   void (*write)(struct out *o, const struct conf_row *row))
{
    struct out o;
    out_init(&o, NULL, false);
    write(&o, row);
    char *text = out_finish(&o), *to = text;
    for (const char *from = text; from && *from; from++)
        if (*from != '`')
            *to++ = *from;
    if (to)
        *to = '\0';
    return text;
}

static void write_row(struct out *o, const struct conf_section *section, const struct conf_row *row)
{
    char *type = plain(row, dump_row_type), *fallback = plain(row, dump_row_default);
    char *bounds = plain(row, dump_row_bounds), *help = plain(row, dump_row_help);
    if (type && fallback && bounds && help) {
        out_text(o, "%s%s%s", section->path, *section->path ? "." : "", row->name);
        if (strcmp(fallback, " ") != 0)
            out_text(o, row->flags & CONF_REQUIRED ? "   %s" : "   default %s", fallback);
        if (strcmp(bounds, " ") != 0)
            out_text(o, "   %s", bounds);
        out_text(o, "\n");
        write_paragraph(o, type);
        write_paragraph(o, help);
    }
    free(type);
    free(fallback);
    free(bounds);
    free(help);
}

typedef void each_row(void *data, const struct conf_section *section, const struct conf_row *row);

static void each(each_row *on, void *data)
{
    for (size_t i = 0; conf_sections[i]; i++)
        for (const struct conf_row *row = conf_sections[i]->rows; row->name; row++)
            if (row->type != CONF_T_LATER)
                on(data, conf_sections[i], row);
}

struct search {
    struct out out;
    const char *name;
    bool by_alias;
    unsigned found;
};

static void look_at(void *data, const struct conf_section *section, const struct conf_row *row)
{
    struct search *s = data;
    if (s->by_alias ? !is_alias(row, s->name) : !is_meant(section, row, s->name))
        return;
    if (s->found++)
        out_text(&s->out, "\n");
    write_row(&s->out, section, row);
}

char *conf_help_text(const char *name)
{
    struct search s = {.name = name};
    out_init(&s.out, NULL, false);
    each(look_at, &s);
    s.by_alias = true;
    if (s.found == 0)
        each(look_at, &s);
    char *text = out_finish(&s.out);
    if (s.found)
        return text;
    free(text);
    return NULL;
}

static void offer(void *data, const struct conf_section *section, const struct conf_row *row)
{
    (void)section;
    suggest_offer(data, row->name);
}

void conf_help_suggest(struct suggest *s)
{
    each(offer, s);
}
