/* Values that are more than a word: byte strings with escapes, pairs, certificates of issuers. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include "base/http1.h"
#include "conf/named_files.h"
#include "conf/types.h"

#define CA_FILE_MAX (4u << 20)
#define PAIRS_MAX   64u

/* ---- byte strings ---- */

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)((found - digits) % 16) : -1;
}

/* The byte that the escape at *text (after its backslash) stands for, or -1. Moves behind it. */
static int take_escape(const char **text)
{
    static const char from[] = "\\\"rnt", to[] = "\\\"\r\n\t";
    const char *at = *text, *found = *at ? strchr(from, *at) : NULL;
    if (found) {
        ++*text;
        return to[found - from];
    }
    int high = *at == 'x' ? hex_value(at[1]) : -1, low = high < 0 ? -1 : hex_value(at[2]);
    *text += low < 0 ? 0 : 3;
    return low < 0 ? -1 : high * 16 + low;
}

const char *bytes_decode(struct arena *arena, const char *text, struct conf_bytes *out)
{
    char *data = arena_alloc(arena, strlen(text) + 1);
    uint32_t len = 0;
    out->text = arena_strdup(arena, text);
    while (*text) {
        int c = (unsigned char)*text++;
        if (c == '\\')
            c = take_escape(&text);
        if (c == -1)
            return "has an unknown escape: there are \\\\ \\r \\n \\t \\xHH";
        data[len++] = (char)c;
    }
    out->data = data;
    out->len = len;
    return NULL;
}

void value_read_bytes(struct walk *w, const struct conf_row *row, const struct node *n,
                      const struct walk_at *at, void *field)
{
    struct conf_bytes bytes;
    if (n->kind != NODE_STRING) {
        walk_error_kind(w, n, at, "a string");
        return;
    }
    const char *wrong = bytes_decode(w->arena, n->text, &bytes);
    if (wrong)
        walk_error(w, n->pos, at, "%s", wrong);
    else if (row->max && bytes.len > row->max)
        walk_error(w, n->pos, at, "is longer than %u bytes", (unsigned)row->max);
    else
        *(struct conf_bytes *)field = bytes;
}

void write_bytes(struct out *o, const struct conf_row *row, const void *field)
{
    const struct conf_bytes *bytes = field;
    out_string(o, row->name, bytes->text);
}

/* ---- pairs: header fields ---- */

static bool is_field_value(const char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
            return false;
    return true;
}

static bool read_pair(struct walk *w, const struct node *n, const struct walk_at *at,
                      struct conf_pair *p)
{
    bool pair = (n->kind == NODE_LIST || n->kind == NODE_ARRAY) && n->count == 2 &&
                n->children[0].kind == NODE_STRING && n->children[1].kind == NODE_STRING;
    if (!pair) {
        walk_error_kind(w, n, at, "a pair such as ( \"X-Name\", \"value\" )");
        return false;
    }
    const char *name = n->children[0].text, *value = n->children[1].text;
    if (!http1_is_token(name, strlen(name)) || !is_field_value(value)) {
        walk_error(w, n->pos, at, "\"%.60s: %.60s\" is not a header field", name, value);
        return false;
    }
    *p = (struct conf_pair){arena_strdup(w->arena, name), arena_strdup(w->arena, value)};
    return true;
}

static size_t pairs_bytes(const struct types_list *list)
{
    const struct conf_pair *pairs = list->items;
    size_t total = 0;
    for (uint32_t i = 0; i < list->count; i++)
        total += strlen(pairs[i].name) + strlen(pairs[i].value) + 4;
    return total;
}

void value_read_pairs(struct walk *w, const struct conf_row *row, const struct node *n,
                      const struct walk_at *at, void *field)
{
    struct types_list *list = field;
    if (n->kind != NODE_LIST || n->count > PAIRS_MAX) {
        walk_error_kind(w, n, at, "a list ( ) of at most 64 pairs ( \"name\", \"value\" )");
        return;
    }
    list->count = 0;
    list->items = ARENA_ARRAY(w->arena, struct conf_pair, n->count);
    for (uint32_t i = 0; i < n->count; i++) {
        struct walk_at element = {.up = at, .index = i};
        struct conf_pair *pairs = list->items;
        if (read_pair(w, &n->children[i], &element, &pairs[list->count]))
            list->count++;
    }
    if (row->max && pairs_bytes(list) > row->max)
        walk_error(w, n->pos, at, "is longer than %u bytes", (unsigned)row->max);
}

void write_pairs(struct out *o, const struct conf_row *row, const void *field)
{
    const struct types_list *list = field;
    const struct conf_pair *pairs = list->items;
    out_tuple(o, row->name);
    for (uint32_t i = 0; i < list->count; i++) {
        out_tuple(o, NULL);
        out_string(o, NULL, pairs[i].name);
        out_string(o, NULL, pairs[i].value);
        out_tuple_end(o);
    }
    out_tuple_end(o);
}

/* ---- issuers ---- */

static bool holds_certificate(const char *pem, size_t len)
{
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    X509 *first = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    bool found = first != NULL;
    X509_free(first);
    BIO_free(bio);
    ERR_clear_error();
    return found;
}

void value_read_ca_file(struct walk *w, const struct conf_row *row, const struct node *n,
                        const struct walk_at *at, void *field)
{
    struct conf_health *h = CONTAINER_OF(field, struct conf_health, ca);
    value_read_path(w, row, n, at, field);
    h->ca_pem = "";
    if (n->kind != NODE_STRING || !*n->text)
        return;
    size_t len = 0;
    const char *pem = named_file_read(w, w->scratch, h->ca, CA_FILE_MAX, &len);
    if (!pem)
        walk_error(w, n->pos, at, "cannot read \"%.200s\": %s", h->ca, strerror(errno));
    else if (strlen(pem) != len || !holds_certificate(pem, len))
        walk_error(w, n->pos, at, "\"%.200s\" holds no certificate in PEM format", h->ca);
    else
        h->ca_pem = arena_strdup(w->arena, pem);
}
