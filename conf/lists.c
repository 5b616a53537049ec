/* How values that may be one or several are read: binds, networks, expected statuses. */
#include <stdlib.h>
#include <string.h>
#include "conf/types.h"
#include "shm/layout.h"

#define BINDS_MAX  64u
#define CIDRS_MAX  1024u
#define EXPECT_MAX 64u

/* Makes room for what n holds; false after a complaint. */
static bool begin_list(struct walk *w, const struct node *n, const struct walk_at *at,
                       struct types_list *list, size_t item_bytes, uint32_t max)
{
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    if (count > max) {
        walk_error(w, n->pos, at, "holds %u, and %u is the most", count, max);
        return false;
    }
    list->count = 0;
    list->items = arena_alloc(w->arena, item_bytes * count);
    return true;
}

static struct types_list *list_of(void *field)
{
    return field;
}

/* ---- binds ---- */

static bool read_bind(struct walk *w, const struct node *n, const struct walk_at *at,
                      struct conf_bind *b)
{
    char why[160];
    if (n->kind != NODE_STRING) {
        walk_error_kind(w, n, at, "an address such as \"*:8080\"");
        return false;
    }
    if (net_addr_parse(n->text, &b->addr, why, sizeof why) == -1) {
        walk_error(w, n->pos, at, "\"%.120s\": %s", n->text, why);
        return false;
    }
    b->text = arena_strdup(w->arena, n->text);
    b->id = INDEX_NONE;
    b->pos = walk_keep_pos(w, n->pos);
    return true;
}

void value_read_binds(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                      const struct walk_at *at, void *field)
{
    struct types_list *list = list_of(field);
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    if (!begin_list(w, n, at, list, sizeof(struct conf_bind), BINDS_MAX))
        return;
    if (count == 0) {
        walk_error(w, n->pos, at, "is empty");
        return;
    }
    struct conf_bind *binds = list->items;
    for (uint32_t i = 0; i < count; i++) {
        struct walk_at element = {.up = at, .index = i};
        if (read_bind(w, &first[i], first == n ? at : &element, &binds[list->count]))
            list->count++;
    }
}

/* ---- networks ---- */

void value_read_cidrs(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                      const struct walk_at *at, void *field)
{
    struct types_list *list = list_of(field);
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    if (!begin_list(w, n, at, list, sizeof(struct net_cidr), CIDRS_MAX))
        return;
    struct net_cidr *cidrs = list->items;
    for (uint32_t i = 0; i < count; i++) {
        struct walk_at element = {.up = at, .index = i};
        const struct walk_at *here = first == n ? at : &element;
        if (first[i].kind != NODE_STRING)
            walk_error_kind(w, &first[i], here, "a network such as \"10.0.0.0/8\"");
        else if (net_cidr_parse(first[i].text, &cidrs[list->count]) == -1)
            walk_error(w, first[i].pos, here,
                       "\"%.60s\" is not a network such as \"10.0.0.0/8\" or \"fd00::/8\"",
                       first[i].text);
        else
            list->count++;
    }
}

/* ---- expected statuses ---- */

/* Three digits at s, or 0. */
static uint16_t to_status(const char *s)
{
    if (strspn(s, "0123456789") < 3 || s[0] < '1' || s[0] > '5')
        return 0;
    return (uint16_t)((s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0'));
}

/* Reads "200" or "200-299" at *text and moves behind it and a comma. */
static bool take_range(const char **text, struct conf_status_range *r)
{
    const char *at = *text + strspn(*text, " ");
    r->from = r->to = to_status(at);
    if (r->from == 0)
        return false;
    at += 3;
    if (*at == '-') {
        r->to = to_status(at + 1);
        at += r->to ? 4 : 0;
    }
    at += strspn(at, " ");
    if ((*at != ',' && *at) || r->to < r->from)
        return false;
    *text = *at ? at + 1 : at;
    return *at == '\0' || **text != '\0';
}

static bool read_expect(struct walk *w, const struct node *n, const struct walk_at *at,
                        struct types_list *list)
{
    static const char wanted[] = "statuses such as \"200\", \"200-299\" or \"200,204\"";
    struct conf_status_range *ranges = list->items;
    if (n->kind != NODE_STRING) {
        walk_error_kind(w, n, at, wanted);
        return false;
    }
    const char *text = n->text;
    do {
        if (list->count == EXPECT_MAX) {
            walk_error(w, n->pos, at, "holds more than %u ranges", EXPECT_MAX);
            return false;
        }
        if (!take_range(&text, &ranges[list->count])) {
            walk_error_kind(w, n, at, wanted);
            return false;
        }
        list->count++;
    } while (*text);
    return true;
}

void value_read_expect(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                       const struct walk_at *at, void *field)
{
    struct types_list *list = list_of(field), found = {0};
    struct conf_status_range ranges[EXPECT_MAX];
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    found.items = ranges;
    for (uint32_t i = 0; i < count; i++) {
        struct walk_at element = {.up = at, .index = i};
        if (!read_expect(w, &first[i], first == n ? at : &element, &found))
            return;
    }
    if (found.count == 0) {
        walk_error(w, n->pos, at, "is empty");
        return;
    }
    list->items = ARENA_ARRAY(w->arena, struct conf_status_range, found.count);
    list->count = found.count;
    memcpy(list->items, ranges, found.count * sizeof *ranges);
}
