/* Names that are looked up while the instance runs: backends with `resolve`, and who is asked. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "conf/types.h"

#define RESOLVERS_MAX 16u
#define HOST_MAX      253u

/* A host name: letters, digits, -, _ and dots. */
static bool is_name(const char *s, size_t len)
{
    if (len == 0 || len > HOST_MAX || s[0] == '.' || s[0] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i]))
            return false;
    return strstr(s, "..") == NULL;
}

static bool is_port(const char *s)
{
    size_t digits = strspn(s, "0123456789");
    return digits > 0 && digits <= 5 && s[digits] == '\0' && strtoul(s, NULL, 10) >= 1 &&
           strtoul(s, NULL, 10) <= 65535;
}

void resolve_read_name(struct walk *w, const struct node *n, const struct walk_at *at,
                       struct conf_backend *b)
{
    struct net_addr addr;
    char why[160];
    const char *text = n->text, *colon = strrchr(text, ':');
    bool service = strncmp(text, "srv:", 4) == 0;
    if (net_addr_parse(text, &addr, why, sizeof why) == 0)
        walk_error(w, n->pos, at, "\"%.120s\" is no name: \"resolve\" means nothing for it", text);
    else if (service && !is_name(text + 4, strlen(text + 4)))
        walk_error(w, n->pos, at, "\"%.120s\" is no service such as \"srv:_http._tcp.name\"", text);
    else if (!service && (!colon || !is_name(text, (size_t)(colon - text)) || !is_port(colon + 1)))
        walk_error(w, n->pos, at, "\"%.120s\" is no name and port such as \"api.internal:8080\"",
                   text);
    else
        b->address = arena_strdup(w->arena, text);
}

/* "10.0.0.1", "[::1]:5353" */
static const char *read_resolver(struct walk *w, const char *text)
{
    struct net_addr addr;
    char why[160];
    if (net_addr_parse(text, &addr, why, sizeof why) == -1) {
        bool bare_v6 = strchr(text, ':') && *text != '[';
        text = arena_printf(w->scratch, bare_v6 ? "[%.80s]:53" : "%.80s:53", text);
        if (net_addr_parse(text, &addr, why, sizeof why) == -1)
            return NULL;
    }
    if (addr.u.sa.sa_family == AF_UNIX || net_addr_is_wildcard(&addr))
        return NULL;
    return arena_strdup(w->arena, text);
}

void value_read_resolvers(struct walk *w, const struct conf_row *row UNUSED, const struct node *n,
                          const struct walk_at *at, void *field)
{
    struct types_list *list = field;
    const struct node *first;
    uint32_t count = walk_elements(n, &first);
    if (count > RESOLVERS_MAX) {
        walk_error(w, n->pos, at, "holds %u, and %u is the most", count, RESOLVERS_MAX);
        return;
    }
    struct conf_text *texts = ARENA_ARRAY(w->arena, struct conf_text, count);
    list->items = texts;
    list->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct walk_at element = {.up = at, .index = i};
        const char *text = first[i].kind == NODE_STRING ? read_resolver(w, first[i].text) : NULL;
        if (text)
            texts[list->count++] = (struct conf_text){text, walk_keep_pos(w, first[i].pos)};
        else
            walk_error_kind(w, &first[i], first == n ? at : &element,
                            "the address of a name server such as \"10.0.0.1\" or \"[::1]:5353\"");
    }
}

void write_resolvers(struct out *o, const struct conf_row *row, const void *field)
{
    const struct types_list *list = field;
    const struct conf_text *texts = list->items;
    out_array(o, row->name);
    for (uint32_t i = 0; i < list->count; i++)
        out_string(o, NULL, texts[i].text);
    out_array_end(o);
}
