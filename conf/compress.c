/* How `compression` is read and written. */
#include "conf/compress.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "base/http1.h"
#include "conf/dump.h"
#include "conf/types.h"

#define TYPES_MAX 64u

static const char *const codings[CODING_COUNT] = {
    [CODING_GZIP] = "gzip", [CODING_BROTLI] = "br", [CODING_ZSTD] = "zstd"};

const char *conf_coding_name(enum conf_coding coding)
{
    return codings[coding];
}

enum conf_coding conf_coding_find(const char *name, size_t len)
{
    for (unsigned i = CODING_GZIP; i < CODING_COUNT; i++)
        if (strlen(codings[i]) == len && strncasecmp(name, codings[i], len) == 0)
            return i;
    return CODING_NONE;
}

/* ---- words: a string with several, or a list of strings ---- */

typedef bool read_word_fn(struct walk *w, const struct node *n, const struct walk_at *at,
                          struct types_list *list, const char *word);

static bool is_known(const struct types_list *list, const char *word)
{
    const char *const *known = list->items;
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(known[i], word) == 0)
            return true;
    return false;
}

static bool read_text(struct walk *w, const struct node *n, const struct walk_at *at,
                      struct types_list *list, read_word_fn *read)
{
    const char *text = n->text;
    for (text += strspn(text, ", "); *text; text += strspn(text, ", ")) {
        size_t len = strcspn(text, ", ");
        char *word = arena_printf(w->arena, "%.*s", (int)len, text);
        text += len;
        for (char *c = word; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        if (is_known(list, word))
            walk_error(w, n->pos, at, "\"%.60s\" is there twice", word);
        else if (!read(w, n, at, list, word))
            return false;
    }
    return true;
}

static void read_words(struct walk *w, const struct node *n, const struct walk_at *at, void *field,
                       uint32_t most, read_word_fn *read)
{
    struct types_list *list = field;
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    list->items = ARENA_ARRAY(w->arena, const char *, most);
    list->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct walk_at element = {.up = at, .index = i};
        const struct walk_at *here = first == n ? at : &element;
        if (first[i].kind != NODE_STRING) {
            walk_error_kind(w, &first[i], here, "a string");
            return;
        }
        if (!read_text(w, &first[i], here, list, read))
            return;
    }
    if (list->count == 0)
        walk_error(w, n->pos, at, "is empty");
}

static bool add_coding(struct walk *w, const struct node *n, const struct walk_at *at,
                       struct types_list *list, const char *word)
{
    const char **names = list->items;
    enum conf_coding coding = conf_coding_find(word, strlen(word));
    struct conf_compression *c = CONTAINER_OF(list, struct conf_compression, algorithms);
    if (coding == CODING_NONE) {
        walk_error(w, n->pos, at, "\"%.60s\" is not one of: gzip, br, zstd", word);
        return false;
    }
    c->order[list->count] = (uint8_t)coding;
    names[list->count++] = word;
    return true;
}

void value_read_codings(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                        const struct walk_at *at, void *field)
{
    struct conf_compression *c = CONTAINER_OF(field, struct conf_compression, algorithms);
    memset(c->order, CODING_NONE, sizeof c->order);
    read_words(w, n, at, field, CODING_COUNT - 1, add_coding);
}

/* "text/html", or a star for the second half or both. */
static bool is_media_type(const char *word)
{
    const char *slash = strchr(word, '/');
    if (!slash || !http1_is_token(word, (size_t)(slash - word)) ||
        !http1_is_token(slash + 1, strlen(slash + 1)))
        return false;
    const char *star = strchr(word, '*');
    bool all = strcmp(word, "*/*") == 0;
    return all || !star || (star == slash + 1 && star[1] == '\0');
}

static bool add_type(struct walk *w, const struct node *n, const struct walk_at *at,
                     struct types_list *list, const char *word)
{
    const char **names = list->items;
    if (!is_media_type(word))
        walk_error(w, n->pos, at,
                   "\"%.60s\" is not a media type such as \"text/html\" or \"text/*\"", word);
    else if (list->count == TYPES_MAX)
        walk_error(w, n->pos, at, "holds more than %u", TYPES_MAX);
    else
        names[list->count++] = word;
    return true;
}

void value_read_media_types(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                            const struct walk_at *at, void *field)
{
    read_words(w, n, at, field, TYPES_MAX, add_type);
}

/* ---- the group ---- */

void compress_read(struct walk *w, const struct conf_row *row, const struct node *n,
                   const struct walk_at *at, void *field)
{
    struct conf_compression **out = field;
    struct conf_compression *c = ARENA_NEW(w->arena, struct conf_compression);
    if (*out && !(*out)->off) /* as `defaults` say */
        *c = **out;
    else
        walk_fill_defaults(w, row->section, c);
    c->off = n->kind == NODE_STRING && strcmp(n->text, "off") == 0;
    *out = c;
    if (!c->off)
        walk_group(w, n, at, &(struct walk_target){row->section, (char *)c}, 1);
}

void compress_write(struct out *o, const struct conf_row *row, const void *field)
{
    const struct conf_compression *const *c = field;
    if (!*c)
        return;
    if ((*c)->off) {
        out_string(o, row->name, "off");
        return;
    }
    out_group(o, row->name);
    dump_section(o, row->section, *c);
    out_group_end(o);
}
