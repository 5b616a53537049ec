/*
 * conf/route_hosts.h: names of hosts as route tables know them.
 */
#ifndef BALLAST_CONF_ROUTE_HOSTS_H
#define BALLAST_CONF_ROUTE_HOSTS_H

#include "conf/route.h"

/* name: lower case. */
uint64_t route_host_hash(const char *name, size_t len);
/* The bit of a wildcard with so many labels in conf_routes.wildcard_labels. */
uint64_t route_labels_bit(const char *name, size_t len);
/* The host of an authority ("Example.com:80") in lower case, without port and last dot, in out;
 * returns its length. Longer than any name is none: 0. */
#define ROUTE_HOST_BYTES 256u
uint32_t route_host_of(const char *authority, size_t len, char out[ROUTE_HOST_BYTES]);
/* The trees to look into for a host, the most specific first. Call until NULL. */
struct route_trees {
    const struct conf_routes *routes;
    const char *host;
    uint32_t len;
    bool begun, any;
    uint32_t suffixes;                /* of the host, as long as some wildcard */
    uint8_t starts[ROUTE_HOST_BYTES]; /* the longest last */
};
#define ROUTE_TREES_MAX (ROUTE_HOST_BYTES / 2 + 2) /* its own, one per label, that of any host */
void route_trees_begin(struct route_trees *t, const struct conf_routes *routes, const char *host,
                       uint32_t len);
const struct route_node *route_trees_next(struct route_trees *t);
/* The deepest node that a path leads to. */
const struct route_node *route_descend(const struct route_node *root, const char *path,
                                       uint32_t len);

#endif
