/*
 * worker/lb/first.c: fills one backend after the other: the first in the pool's order that has a
 * place free (max_connections), so that as few as possible are in use and the rest can be switched
 * off.
 */
#include "worker/lb/algorithms.h"
#include "worker/lb/own.h"

static uint32_t select_first(const struct lb_view *v, const struct lb_request *r)
{
    for (uint32_t m = 0; m < v->count; m++) {
        const struct entry *e = entry_at(v->table, v->members[m].entry);
        uint32_t limit = word_get(&e->max_connections);
        bool full = limit && lb_inflight(v, v->members[m].entry) >= limit;
        if (!full && !lb_tried(r, v->members[m].entry))
            return v->members[m].entry;
    }
    return INDEX_NONE;
}

const struct lb_algorithm lb_first = {
    .name = "first",
    .help = "The first backend in order with a free connection place; the next one only when it is "
            "full.",
    .cost = "O(n) in full backends",
    .select = select_first,
};
