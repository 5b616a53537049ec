/*
 * worker/lb/least_connections.c: the member with the fewest requests in flight, counted over all
 * workers. Equals take turns.
 */
#include "worker/lb/algorithms.h"

const struct lb_algorithm lb_least_connections = {
    .name = "least_connections",
    .help = "The backend with the fewest requests in flight over all workers; equals take turns.",
    .cost = "O(log n)",
    .loads = LOADS_COUNT,
    .select = lb_select_least,
};
