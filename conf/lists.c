/* How values that may be one or several are read: binds, networks, expected statuses. */
#include <stdlib.h>
#include <string.h>
#include "conf/health.h"
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

/* ---- what a check expects ---- */

/* Kept as written: what it means depends on the type of the check (conf/health.c). */
void value_read_expect(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                       const struct walk_at *at, void *field)
{
    struct types_list *list = list_of(field);
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    if (!begin_list(w, n, at, list, sizeof(struct conf_text), EXPECT_MAX))
        return;
    struct conf_text *texts = list->items;
    for (uint32_t i = 0; i < count; i++) {
        struct walk_at element = {.up = at, .index = i};
        const char *text = first[i].kind == NODE_STRING ? first[i].text : "200";
        if (first[i].kind != NODE_STRING)
            walk_error_kind(w, &first[i], first == n ? at : &element, HEALTH_EXPECT_WANTED);
        texts[list->count++] =
            (struct conf_text){arena_strdup(w->arena, text), walk_keep_pos(w, first[i].pos)};
    }
}
