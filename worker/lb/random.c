/* worker/lb/random.c: any member, in proportion to weight: a binary search in the cumulated
 * weights. */
#include <stdlib.h>
#include "worker/lb/algorithms.h"

static int build(struct lb_view *v)
{
    uint32_t *sums = realloc(v->schedule, (size_t)(v->count + 1) * sizeof *sums);
    if (!sums)
        return -1;
    v->schedule = sums;
    v->schedule_len = v->count;
    uint32_t sum = 0; /* at most ENTRY_MAX * 256 * RAMP_FULL */
    for (uint32_t m = 0; m < v->count; m++)
        sums[m] = sum += v->members[m].weight;
    return 0;
}

/* The first member whose cumulated weight is above x. */
static uint32_t member_at(const struct lb_view *v, uint32_t x)
{
    uint32_t low = 0, high = v->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (v->schedule[middle] > x)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static uint32_t select_random(const struct lb_view *v, const struct lb_request *r)
{
    if (v->count == 0)
        return INDEX_NONE;
    uint64_t random = r->random;
    uint32_t m = 0;
    for (unsigned draw = 0; draw <= r->tried_count; draw++) {
        /* scaled rather than modulo: no bias worth the name (Lemire 2019) */
        m = member_at(v, (uint32_t)(((random >> 32) * v->schedule[v->count - 1]) >> 32));
        if (!lb_tried(r, v->members[m].entry))
            return v->members[m].entry;
        random = hash_mix64(random + 1);
    }
    for (uint32_t i = 0; i < v->count; i++, m = m + 1 == v->count ? 0 : m + 1)
        if (!lb_tried(r, v->members[m].entry))
            return v->members[m].entry;
    return INDEX_NONE;
}

const struct lb_algorithm lb_random = {
    .name = "random",
    .help = "Any backend, with a probability in proportion to its weight.",
    .cost = "O(log n)",
    .build = build,
    .select = select_random,
};
