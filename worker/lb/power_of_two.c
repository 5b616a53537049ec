/*
 * worker/lb/power_of_two.c: of two members drawn at random the one with fewer requests in flight
 * per weight (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001): nearly
 * as even as looking at all, at the cost of two.
 */
#include "worker/lb/algorithms.h"
#include "worker/lb/own.h"

static uint32_t draw(const struct lb_view *v, const struct lb_request *r, uint64_t *random)
{
    for (uint32_t i = 0; i <= r->tried_count; i++) {
        *random = hash_mix64(*random + 0x9E3779B97F4A7C15ull);
        uint32_t m = (uint32_t)(((*random >> 32) * v->count) >> 32);
        if (!lb_tried(r, v->members[m].entry))
            return m;
    }
    for (uint32_t m = 0; m < v->count; m++)
        if (!lb_tried(r, v->members[m].entry))
            return m;
    return INDEX_NONE;
}

static bool less_loaded(const struct lb_view *v, uint32_t a, uint32_t b)
{
    uint64_t load_a = lb_inflight(v, v->members[a].entry) + 1;
    uint64_t load_b = lb_inflight(v, v->members[b].entry) + 1;
    return load_a * v->members[b].weight < load_b * v->members[a].weight;
}

static uint32_t select_two(const struct lb_view *v, const struct lb_request *r)
{
    if (v->count == 0)
        return INDEX_NONE;
    uint64_t random = r->random;
    uint32_t a = draw(v, r, &random);
    if (a == INDEX_NONE)
        return INDEX_NONE;
    uint32_t b = draw(v, r, &random);
    return v->members[less_loaded(v, b, a) ? b : a].entry;
}

const struct lb_algorithm lb_power_of_two = {
    .name = "power_of_two",
    .help = "Of two backends drawn at random the one with fewer requests in flight for its weight.",
    .cost = "O(1)",
    .select = select_two,
};
