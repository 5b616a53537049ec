/*
 * conf/node.h: a parsed configuration as a tree, free of libconfig: what load_tree.c makes and the
 * walker reads. Lives in a scratch arena.
 */
#ifndef BALLAST_CONF_NODE_H
#define BALLAST_CONF_NODE_H

#include "conf/prelex.h"

enum node_kind {
    NODE_GROUP,
    NODE_LIST,  /* ( ) */
    NODE_ARRAY, /* [ ] */
    NODE_STRING,
    NODE_NUMBER,
    NODE_BOOL,
    NODE_FRACTION
};

struct node {
    enum node_kind kind;
    const char *name;      /* NULL for elements */
    const char *text;      /* NODE_STRING */
    int64_t number;        /* NODE_NUMBER, NODE_BOOL; NODE_FRACTION: thousandths */
    struct node *children; /* an array */
    uint32_t count;
    struct conf_pos pos;
};

/* conf/load_tree.c: parses the tokens with libconfig. NULL after adding to errors. */
struct node *load_tree(const struct prelex *lex, struct arena *scratch,
                       struct conf_errors *errors) MUST_CHECK;

#endif
