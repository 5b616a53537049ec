/*
 * conf/route_memo.h: where authorities led lately: what a request's host says of the tables is
 * found once for many requests, because a client asks for the same host again and again. A cache of
 * one process and one configuration, mapped directly; zeroed, it is empty.
 */
#ifndef BALLAST_CONF_ROUTE_MEMO_H
#define BALLAST_CONF_ROUTE_MEMO_H

#include "conf/route.h"

#define ROUTE_MEMO_ITEMS 16u
#define ROUTE_MEMO_TREES 3u  /* hosts that lead to more are looked up each time */
#define ROUTE_MEMO_BYTES 48u /* so are longer ones */

struct route_memo {
    struct route_memo_item {
        const struct conf_routes *routes; /* NULL: free */
        uint32_t len, count;
        const struct route_node *trees[ROUTE_MEMO_TREES];
        char authority[ROUTE_MEMO_BYTES]; /* as it was sent */
    } items[ROUTE_MEMO_ITEMS];
};

/* NULL: not known. memo: may be NULL. */
const struct route_memo_item *route_memo_find(const struct route_memo *memo,
                                              const struct conf_routes *routes,
                                              const char *authority, uint32_t len);
void route_memo_keep(struct route_memo *memo, const struct conf_routes *routes,
                     const char *authority, uint32_t len, const struct route_node *const *trees,
                     uint32_t count);

#endif
