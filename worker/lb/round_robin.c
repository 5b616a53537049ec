/*
 * worker/lb/round_robin.c: each member in turn. One cursor per pool in the table, advanced by every
 * worker, so the turn is exact for the whole instance: over any number of workers the counts of n
 * usable members differ by at most one.
 */
#include "worker/lb/algorithms.h"

static uint32_t select_next(const struct lb_view *v, const struct lb_request *r)
{
    /* A member already tried costs its turn. Other workers take turns meanwhile, so after count
     * turns a scan that cannot miss decides. */
    for (uint32_t i = 0; i < v->count; i++) {
        uint32_t m = (uint32_t)(cursor_next(v->cursor) % v->count);
        if (!lb_tried(r, v->members[m].entry))
            return v->members[m].entry;
    }
    for (uint32_t m = 0; m < v->count; m++)
        if (!lb_tried(r, v->members[m].entry))
            return v->members[m].entry;
    return INDEX_NONE;
}

const struct lb_algorithm lb_round_robin = {
    .name = "round_robin",
    .help = "Each backend in turn, exact across all workers; weights are not looked at.",
    .cost = "O(1)",
    .select = select_next,
};
