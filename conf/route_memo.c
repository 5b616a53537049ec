/* conf/route_memo.c */
#include "conf/route_memo.h"

#include <string.h>

/* Names of one site differ at the start, those of many at the end. */
static uint32_t place_of(const char *authority, uint32_t len)
{
    uint64_t first = 0, last = len;
    if (len >= sizeof first) {
        memcpy(&first, authority, sizeof first);
        memcpy(&last, authority + len - sizeof last, sizeof last);
    } else {
        memcpy(&first, authority, len);
    }
    uint64_t mixed = (first ^ last << 1 ^ last >> 63) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(mixed >> 32) % ROUTE_MEMO_ITEMS;
}

const struct route_memo_item *route_memo_find(const struct route_memo *memo,
                                              const struct conf_routes *routes,
                                              const char *authority, uint32_t len)
{
    if (!memo)
        return NULL;
    const struct route_memo_item *item = &memo->items[place_of(authority, len)];
    bool same =
        item->routes == routes && item->len == len && memcmp(item->authority, authority, len) == 0;
    return same ? item : NULL;
}

void route_memo_keep(struct route_memo *memo, const struct conf_routes *routes,
                     const char *authority, uint32_t len, const struct route_node *const *trees,
                     uint32_t count)
{
    if (!memo || len > ROUTE_MEMO_BYTES || count > ROUTE_MEMO_TREES)
        return;
    struct route_memo_item *item = &memo->items[place_of(authority, len)];
    item->routes = routes;
    item->len = len;
    item->count = count;
    memcpy(item->authority, authority, len);
    memcpy(item->trees, trees, count * sizeof *trees);
}
