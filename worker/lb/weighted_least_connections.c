/*
 * worker/lb/weighted_least_connections.c: the member with the fewest requests in flight for its
 * weight, over all workers. The request to come is counted in, but idle members are equal: they
 * take turns in proportion to weight, so that a lone client sees the weights too.
 */
#include "worker/lb/algorithms.h"

const struct lb_algorithm lb_weighted_least_connections = {
    .name = "weighted_least_connections",
    .help = "The backend with the fewest requests in flight for its weight, over all workers; idle "
            "ones take turns in proportion to weight.",
    .cost = "O(log n)",
    .loads = LOADS_WEIGHTED,
    .select = lb_select_least,
};
