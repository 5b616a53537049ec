/* worker/lb/url_hash.c: the ring of consistent_hash, keyed by the request's URI. */
#include "worker/lb/algorithms.h"

const struct lb_algorithm lb_url_hash = {
    .name = "url_hash",
    .help = "`consistent_hash` by path and query; with tcp, by the client's address.",
    .cost = "O(log n)",
    .key = LB_KEY_URI,
    .table = HASHTABLE_RING,
    .select = lb_select_on_ring,
};
