/* The only place that knows libconfig. */
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>
#include "conf/node.h"

#define SHOWN 60

struct loader {
    const struct prelex *lex;
    struct arena *scratch;
};

/* Where a token of the pre-lexer (line of the parsed text) came from. */
static struct conf_pos place_of(const struct prelex *lex, unsigned line)
{
    if (line >= 1 && line <= lex->count)
        return lex->places[line - 1];
    return lex->count ? lex->places[lex->count - 1] : (struct conf_pos){lex->file, 1};
}

static enum node_kind kind_of(const config_setting_t *s)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_GROUP: return NODE_GROUP;
    case CONFIG_TYPE_LIST: return NODE_LIST;
    case CONFIG_TYPE_ARRAY: return NODE_ARRAY;
    case CONFIG_TYPE_STRING: return NODE_STRING;
    case CONFIG_TYPE_BOOL: return NODE_BOOL;
    case CONFIG_TYPE_FLOAT: return NODE_FRACTION;
    default: return NODE_NUMBER;
    }
}

static struct conf_pos place_of_setting(const struct loader *l, const config_setting_t *s)
{
    unsigned line = (unsigned)config_setting_source_line(s);
    /* libconfig reads one token ahead before it knows that a string element is complete */
    if (!config_setting_name(s) && config_setting_type(s) == CONFIG_TYPE_STRING && line > 1)
        line--;
    return place_of(l->lex, line);
}

/* Three places are what a fraction is good for here; those beyond the range are outside of any. */
static int64_t thousandths(double value)
{
    return value > INT32_MAX || value < INT32_MIN ? INT64_MAX : (int64_t)(value * 1000 + 0.5);
}

static void convert(const struct loader *l, const config_setting_t *s, struct node *n)
{
    n->kind = kind_of(s);
    if (config_setting_name(s))
        n->name = arena_strdup(l->scratch, config_setting_name(s));
    n->pos = place_of_setting(l, s);
    if (n->kind == NODE_STRING)
        n->text = arena_strdup(l->scratch, config_setting_get_string(s));
    else if (n->kind == NODE_NUMBER)
        n->number = config_setting_get_int64(s);
    else if (n->kind == NODE_BOOL)
        n->number = config_setting_get_bool(s);
    else if (n->kind == NODE_FRACTION)
        n->number = thousandths(config_setting_get_float(s));
    else
        n->count = (uint32_t)config_setting_length(s);
    if (n->count)
        n->children = ARENA_ARRAY(l->scratch, struct node, n->count);
    for (uint32_t i = 0; i < n->count; i++) /* at most PRELEX_DEPTH_MAX deep */
        convert(l, config_setting_get_elem(s, i), &n->children[i]);
}

/* The token on a line of the parsed text. */
static const char *token_at(const struct prelex *lex, unsigned line, struct arena *arena)
{
    const char *at = lex->text;
    for (unsigned i = 1; i < line && *at; i++)
        at = strchr(at, '\n') + 1;
    return *at ? arena_strndup(arena, at, strcspn(at, "\n")) : "the end of the file";
}

static void add_parse_error(const struct prelex *lex, const config_t *c, struct arena *scratch,
                            struct conf_errors *errors)
{
    unsigned line = (unsigned)config_error_line(c);
    conf_errors_add(errors, place_of(lex, line), "%s at %.*s", config_error_text(c), SHOWN,
                    token_at(lex, line, scratch));
}

struct node *load_tree(const struct prelex *lex, struct arena *scratch, struct conf_errors *errors)
{
    struct node *root = NULL;
    config_t c;
    config_init(&c);
    if (config_read_string(&c, lex->text) == CONFIG_TRUE) {
        root = ARENA_NEW(scratch, struct node);
        convert(&(struct loader){lex, scratch}, config_root_setting(&c), root);
        root->pos = place_of(lex, 1);
    } else {
        add_parse_error(lex, &c, scratch, errors);
    }
    config_destroy(&c);
    return root;
}
