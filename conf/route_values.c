/* How the values of routes are read: hosts, paths, regular expressions, pairs, header fields. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/http1.h"
#include "base/uri_path.h"
#include "conf/regex.h"
#include "conf/route.h"
#include "conf/named_files.h"
#include "conf/types.h"
#include "shm/layout.h"

#define ITEMS_MAX   1024u
#define PATH_BYTES  1024u
#define PAGE_BYTES  (60u * 1024) /* a reply must fit a worker's large buffer */
#define REGEXES_MAX 65536u

/* Reads one element into its place; false after a complaint. */
typedef bool read_item_fn(struct walk *w, const struct node *n, const struct walk_at *at,
                          void *item);

static void read_items(struct walk *w, const struct node *n, const struct walk_at *at, void *field,
                       size_t item_bytes, read_item_fn *read)
{
    struct types_list *list = field;
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    if (count == 0 || count > ITEMS_MAX) {
        walk_error(w, n->pos, at, count ? "holds too many" : "is empty");
        return;
    }
    char *items = arena_alloc(w->arena, item_bytes * count);
    list->items = items;
    list->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct walk_at element = {.up = at, .index = i};
        if (read(w, &first[i], first == n ? at : &element, items + list->count * item_bytes))
            list->count++;
    }
}

static void keep(void *item, const char *text)
{
    memcpy(item, &text, sizeof text);
}

/* ---- hosts ---- */

static bool read_host(struct walk *w, const struct node *n, const struct walk_at *at, void *item)
{
    static const char known[] = "abcdefghijklmnopqrstuvwxyz0123456789-._:[]";
    const char *text = value_string(w, n, at, 1, 255);
    if (!text)
        return false;
    char *host = arena_strdup(w->arena, text);
    for (char *c = host; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    size_t len = strlen(host);
    if (len > 1 && host[len - 1] == '.')
        host[len - 1] = '\0';
    const char *name = strncmp(host, "*.", 2) == 0 ? host + 2 : host;
    bool numeric = *name == '[';
    if (strcmp(host, "*") != 0 && (!*name || *name == '.' || strspn(name, known) != strlen(name)))
        walk_error(w, n->pos, at, "\"%.120s\" is not a host name, nor \"*.\" and a host name",
                   text);
    else if (!numeric && strchr(name, ':'))
        walk_error(w, n->pos, at, "\"%.120s\": a host is compared without its port", text);
    else {
        keep(item, host);
        return true;
    }
    return false;
}

void value_read_hosts(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                      const struct walk_at *at, void *field)
{
    read_items(w, n, at, field, sizeof(char *), read_host);
}

/* ---- paths ---- */

/* What stands in a path of a route is decoded text in its plain form: anything else would never
 * match. */
static const char *path_mistake(const char *path)
{
    char scratch[3 * PATH_BYTES];
    struct uri_path u;
    if (*path != '/')
        return "does not begin with /";
    if (strchr(path, '?') || strchr(path, '#'))
        return "has a query or a fragment: a path ends before those";
    if (strchr(path, '%'))
        return "is compared with the decoded path: write the characters themselves";
    if (strchr(path, ';') || strchr(path, '\\'))
        return "has a \";\" or a \"\\\", which are not looked at";
    if (uri_path_read(&u, path, (uint32_t)strlen(path), scratch) == -1 || u.plain != u.literal)
        return "has empty or dot segments: write it without";
    return NULL;
}

static bool read_path(struct walk *w, const struct node *n, const struct walk_at *at, void *item)
{
    const char *text = value_string(w, n, at, 1, PATH_BYTES);
    if (!text)
        return false;
    const char *mistake = path_mistake(*text == '=' ? text + 1 : text);
    if (mistake)
        walk_error(w, n->pos, at, "\"%.120s\" %s", text, mistake);
    else
        keep(item, arena_strdup(w->arena, text));
    return !mistake;
}

void value_read_paths(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                      const struct walk_at *at, void *field)
{
    read_items(w, n, at, field, sizeof(char *), read_path);
}

/* ---- regular expressions ---- */

static uint32_t add_regex(struct walk *w, const char *pattern, uint32_t captures)
{
    struct conf *c = w->conf;
    uint32_t known = names_add(&w->regexes, 0, pattern, c->regex_count);
    if (known != NAMES_NONE)
        return known;
    if ((c->regex_count & (c->regex_count + 1)) == 0) { /* 0, 1, 3, 7, ...: full */
        struct conf_regex *more = ARENA_ARRAY(w->arena, struct conf_regex, c->regex_count * 2 + 1);
        if (c->regex_count)
            memcpy(more, c->regexes, c->regex_count * sizeof *more);
        c->regexes = more;
    }
    c->regexes[c->regex_count] = (struct conf_regex){pattern, captures};
    return c->regex_count++;
}

void value_read_regex(struct walk *w, const struct conf_row *row, const struct node *n,
                      const struct walk_at *at, void *field)
{
    struct conf_match *m = CONTAINER_OF(field, struct conf_match, path_regex);
    const char *text = value_string(w, n, at, 1, (uint32_t)row->max);
    char why[200];
    uint32_t captures = 0, offset = 0;
    if (!text)
        return;
    if (regex_check(text, &captures, &offset, why, sizeof why) == -1) {
        walk_error(w, n->pos, at, "\"%.120s\": %s, at character %u", text, why, offset + 1);
    } else if (w->conf->regex_count == REGEXES_MAX) {
        walk_error(w, n->pos, at, "more than %u regular expressions", REGEXES_MAX);
    } else {
        m->path_regex = arena_strdup(w->arena, text);
        m->regex = add_regex(w, m->path_regex, captures);
    }
}

/* ---- names ---- */

static bool read_token(struct walk *w, const struct node *n, const struct walk_at *at, void *item,
                       const char *what)
{
    const char *text = value_string(w, n, at, 1, 255);
    if (!text)
        return false;
    if (!http1_is_token(text, strlen(text))) {
        walk_error(w, n->pos, at, "\"%.120s\" is not %s", text, what);
        return false;
    }
    keep(item, arena_strdup(w->arena, text));
    return true;
}

static bool read_method(struct walk *w, const struct node *n, const struct walk_at *at, void *item)
{
    const char *text = n->kind == NODE_STRING ? n->text : "";
    for (; *text; text++) {
        if (islower((unsigned char)*text)) {
            walk_error(w, n->pos, at, "\"%.60s\": methods are written in capital letters", n->text);
            return false;
        }
    }
    return read_token(w, n, at, item, "a method");
}

void value_read_methods(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                        const struct walk_at *at, void *field)
{
    read_items(w, n, at, field, sizeof(char *), read_method);
}

static bool read_name(struct walk *w, const struct node *n, const struct walk_at *at, void *item)
{
    const char *text = value_string(w, n, at, 1, 255);
    if (text)
        keep(item, arena_strdup(w->arena, text));
    return text != NULL;
}

void value_read_names(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                      const struct walk_at *at, void *field)
{
    read_items(w, n, at, field, sizeof(char *), read_name);
}

static bool read_field_name(struct walk *w, const struct node *n, const struct walk_at *at,
                            void *item)
{
    if (!read_token(w, n, at, item, "the name of a header field"))
        return false;
    if (route_frames_message(n->text))
        walk_error(w, n->pos, at, "the field \"%.60s\" frames or addresses the message: leave it",
                   n->text);
    return true;
}

void value_read_field_names(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                            const struct walk_at *at, void *field)
{
    read_items(w, n, at, field, sizeof(char *), read_field_name);
}

/* ---- pairs ---- */

/* Name, or name and value. */
static bool read_pair(struct walk *w, const struct node *n, const struct walk_at *at, void *item)
{
    struct conf_named *pair = item;
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    if (count < 1 || count > 2) {
        walk_error_kind(w, n, at, "a name, or a name and a value: ( \"name\", \"value\" )");
        return false;
    }
    const char *name = value_string(w, first, at, 1, 1024), *value = NULL;
    if (!name || (count == 2 && !(value = value_string(w, &first[1], at, 0, 4095))))
        return false;
    pair->name = arena_strdup(w->arena, name);
    pair->name_len = (uint32_t)strlen(name);
    pair->value = value ? arena_strdup(w->arena, value) : NULL;
    pair->value_len = value ? (uint32_t)strlen(value) : 0;
    pair->pos = walk_keep_pos(w, n->pos);
    return true;
}

static bool read_field_pair(struct walk *w, const struct node *n, const struct walk_at *at,
                            void *item)
{
    struct conf_named *pair = item;
    if (!read_pair(w, n, at, item))
        return false;
    if (http1_is_token(pair->name, pair->name_len))
        return true;
    walk_error(w, n->pos, at, "\"%.120s\" is not a name of a field or cookie", pair->name);
    return false;
}

static bool read_field(struct walk *w, const struct node *n, const struct walk_at *at, void *item)
{
    const struct conf_named *pair = item;
    if (!read_field_pair(w, n, at, item))
        return false;
    if (pair->value)
        return true;
    walk_error(w, n->pos, at, "\"%.120s\" has no value: ( \"%.120s\", \"value\" )", pair->name,
               pair->name);
    return false;
}

/* One pair may stand alone, ( "a", "b" ), where a list of pairs is wanted: that would be read as
 * two names. */
static bool looks_like_pair(struct walk *w, const struct node *n, const struct walk_at *at)
{
    bool strings = n->kind == NODE_LIST && n->count == 2 && n->children[0].kind == NODE_STRING &&
                   n->children[1].kind == NODE_STRING;
    if (strings)
        walk_error(
            w, n->pos, at,
            "wants a list of pairs: write ( ( \"%.60s\", \"%.60s\" ) ), or [ ] for names alone",
            n->children[0].text, n->children[1].text);
    return strings;
}

void value_read_named(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                      const struct walk_at *at, void *field)
{
    if (!looks_like_pair(w, n, at))
        read_items(w, n, at, field, sizeof(struct conf_named), read_pair);
}

void value_read_named_fields(struct walk *w, const struct conf_row *row UNUSED,
                             const struct node *n, const struct walk_at *at, void *field)
{
    if (!looks_like_pair(w, n, at))
        read_items(w, n, at, field, sizeof(struct conf_named), read_field_pair);
}

void value_read_fields(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                       const struct walk_at *at, void *field)
{
    if (!looks_like_pair(w, n, at))
        read_items(w, n, at, field, sizeof(struct conf_named), read_field);
}

void value_read_field_value(struct walk *w, const struct conf_row *row, const struct node *n,
                            const struct walk_at *at, void *field)
{
    const char *text = value_string(w, n, at, (uint32_t)row->min, (uint32_t)row->max);
    if (text)
        keep(field, arena_strdup(w->arena, text));
}

void value_read_text(struct walk *w, const struct conf_row *row, const struct node *n,
                     const struct walk_at *at, void *field)
{
    if (n->kind != NODE_STRING)
        walk_error_kind(w, n, at, "a string");
    else if (strlen(n->text) > row->max)
        walk_error(w, n->pos, at, "is longer than %u bytes", (unsigned)row->max);
    else
        keep(field, arena_strdup(w->arena, n->text));
}

/* ---- pages ---- */

/* "404" or "500-504", of errors. */
static bool parse_statuses(const char *text, struct conf_status_range *r)
{
    char *end;
    unsigned long from = strtoul(text, &end, 10), to = from;
    if (*end == '-' && isdigit((unsigned char)end[1]))
        to = strtoul(end + 1, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || from < 400 || to > 599 || from > to)
        return false;
    *r = (struct conf_status_range){(uint16_t)from, (uint16_t)to};
    return true;
}

static bool read_statuses(struct walk *w, const struct node *n, const struct walk_at *at,
                          void *item)
{
    if (n->kind == NODE_STRING && parse_statuses(n->text, item))
        return true;
    walk_error_kind(w, n, at, "error statuses such as \"404\" or \"500-504\"");
    return false;
}

void value_read_statuses(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                         const struct walk_at *at, void *field)
{
    read_items(w, n, at, field, sizeof(struct conf_status_range), read_statuses);
}

void value_read_page(struct walk *w, const struct conf_row *row, const struct node *n,
                     const struct walk_at *at, void *field)
{
    struct conf_error_page *page = CONTAINER_OF(field, struct conf_error_page, file);
    size_t len = 0;
    value_read_path(w, row, n, at, field);
    if (n->kind != NODE_STRING || !page->file || !*page->file)
        return;
    page->body = named_file_read(w, w->arena, page->file, PAGE_BYTES, &len);
    page->body_len = (uint32_t)len;
    if (!page->body)
        walk_error(w, n->pos, at, "cannot read \"%.200s\": %s", page->file,
                   errno == EFBIG    ? "longer than 60 KiB"
                   : errno == EINVAL ? "not a regular file"
                                     : strerror(errno));
}
