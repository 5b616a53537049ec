/* worker/lb/ip_hash.c: the ring of consistent_hash, keyed by the client's address. */
#include "worker/lb/algorithms.h"

const struct lb_algorithm lb_ip_hash = {
    .name = "ip_hash",
    .help = "`consistent_hash` by the client's address.",
    .cost = "O(log n)",
    .key = LB_KEY_CLIENT,
    .table = HASHTABLE_RING,
    .select = lb_select_on_ring,
};
