/*
 * worker/lb/weighted_least_connections.c: the member with the fewest requests in flight for its
 * weight, over all workers. The request to come is counted in, so that an idle pool is filled in
 * proportion to weight too. Compared by cross-multiplication: no division.
 */
#include "worker/lb/algorithms.h"

static uint32_t select_least(const struct lb_view *v, const struct lb_request *r)
{
    if (v->count == 0)
        return INDEX_NONE;
    uint32_t best = INDEX_NONE;
    uint64_t best_load = 0, best_weight = 1;
    uint32_t m = (uint32_t)(pool_cursor_next(pool_at(v->table, v->pool)) % v->count);
    for (uint32_t i = 0; i < v->count; i++, m = m + 1 == v->count ? 0 : m + 1) {
        if (lb_tried(r, v->members[m].entry))
            continue;
        uint64_t load = entry_inflight(v->table, v->members[m].entry) + 1;
        if (best != INDEX_NONE && load * best_weight >= best_load * v->members[m].weight)
            continue;
        best = m;
        best_load = load;
        best_weight = v->members[m].weight;
    }
    return best == INDEX_NONE ? INDEX_NONE : v->members[best].entry;
}

const struct lb_algorithm lb_weighted_least_connections = {
    .name = "weighted_least_connections",
    .help = "The backend with the fewest requests in flight for its weight, over all workers.",
    .cost = "O(n)",
    .select = select_least,
};
