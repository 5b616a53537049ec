/*
 * worker/lb/least.c: what the algorithms that go by load share: the pool's tournament
 * (shm/loads.h), and a look at every member for the moments when it has none or knows less than the
 * view.
 */
#include <math.h>
#include "worker/lb/lb.h"
#include "worker/lb/own.h"

static uint32_t scan(const struct lb_view *v, const struct lb_request *r)
{
    uint32_t best = INDEX_NONE;
    float best_score = 0;
    uint32_t m = (uint32_t)(cursor_next(v->cursor) % v->count);
    for (uint32_t i = 0; i < v->count; i++, m = m + 1 == v->count ? 0 : m + 1) {
        float score = loads_score(v->table, v->members[m].entry, v->algorithm->loads);
        if (score < 0 || isinf(score) || lb_tried(r, v->members[m].entry))
            continue;
        if (best == INDEX_NONE || score < best_score) {
            best = v->members[m].entry;
            best_score = score;
        }
    }
    return best;
}

uint32_t lb_select_least(const struct lb_view *v, const struct lb_request *r)
{
    uint32_t entry;
    if (v->count == 0)
        return INDEX_NONE;
    if (UNLIKELY(v->own != NULL))
        return lb_own_least(v, r);
    switch (loads_least(v->table, v->pool, r->tried, r->tried_count, &entry)) {
    case LOADS_FOUND:
        if (LIKELY(lb_acceptable(v, r, entry)))
            return entry;
        break;
    case LOADS_FULL: return INDEX_NONE;
    case LOADS_UNKNOWN: break;
    }
    return scan(v, r);
}
