/*
 * worker/lb/least_connections.c: the member with the fewest requests in flight, counted over all
 * workers. Equals take turns: the scan starts at the pool's shared cursor, so an idle pool is used
 * evenly.
 */
#include "worker/lb/algorithms.h"

static uint32_t select_least(const struct lb_view *v, const struct lb_request *r)
{
    if (v->count == 0)
        return INDEX_NONE;
    uint32_t best = INDEX_NONE, best_load = UINT32_MAX;
    uint32_t m = (uint32_t)(pool_cursor_next(pool_at(v->table, v->pool)) % v->count);
    for (uint32_t i = 0; i < v->count; i++, m = m + 1 == v->count ? 0 : m + 1) {
        uint32_t load = entry_inflight(v->table, v->members[m].entry);
        if (load >= best_load || lb_tried(r, v->members[m].entry))
            continue;
        best = m;
        best_load = load;
        if (load == 0)
            break;
    }
    return best == INDEX_NONE ? INDEX_NONE : v->members[best].entry;
}

const struct lb_algorithm lb_least_connections = {
    .name = "least_connections",
    .help = "The backend with the fewest requests in flight over all workers; equals take turns.",
    .cost = "O(n)",
    .select = select_least,
};
