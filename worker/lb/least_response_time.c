/*
 * worker/lb/least_response_time.c: the member with the lowest latency x (1 + 0.1 x in flight) for
 * its weight. Latency is a moving average shared by all workers (shm/latency.h).
 *
 * One that once was slow gets no requests and so no chance to show that it no longer is. So now and
 * then a request goes to a member that has nothing in flight and was not measured for long (for
 * longer the slower it is): one ticket per interval for all workers together, which the members
 * take in turn. One that was never measured is taken for as fast as the pool is on average: neither
 * the best nor the worst.
 */
#include "shm/latency.h"
#include "worker/lb/algorithms.h"
#include "worker/lb/own.h"

#define PROBE_ROUND_US 1000000u /* a ticket each, if nobody had to be passed over */
#define PROBE_MIN_US   20000u
#define PROBE_LOOKS    32u /* members looked at for a ticket */

static uint64_t interval_us(const struct lb_view *v)
{
    uint64_t each_us = PROBE_ROUND_US / v->count;
    return each_us < PROBE_MIN_US ? PROBE_MIN_US : each_us;
}

static uint32_t find_due(const struct lb_view *v, const struct lb_request *r)
{
    atom32 *cursor = v->probe_at; /* only who holds the ticket moves it */
    uint32_t looks = v->count < PROBE_LOOKS ? v->count : PROBE_LOOKS, at = word_get(cursor);
    for (uint32_t i = 0; i < looks; i++) {
        uint32_t entry = v->members[at++ % v->count].entry;
        if (!latency_is_due(lb_latency(v, entry), r->now_us) || lb_inflight(v, entry) != 0 ||
            !lb_acceptable(v, r, entry))
            continue;
        word_set(cursor, at % v->count);
        return entry;
    }
    word_set(cursor, at % v->count);
    return INDEX_NONE;
}

static uint32_t select_fastest(const struct lb_view *v, const struct lb_request *r)
{
    uint32_t entry = INDEX_NONE;
    if (v->count > 1 && r->tried_count == 0 && v->probe_us &&
        latency_ticket(v->probe_us, r->now_us, interval_us(v)))
        entry = find_due(v, r);
    return entry != INDEX_NONE ? entry : lb_select_least(v, r);
}

const struct lb_algorithm lb_least_response_time = {
    .name = "least_response_time",
    .alias = "fastest_response",
    .help =
        "The backend with the lowest response time x (1 + 0.1 x requests in flight) for its "
        "weight, over all workers. One that got no requests for a while, because it was slow, "
        "is asked again. With tcp: the time a connection takes. Also called `fastest_response`.",
    .cost = "O(log n)",
    .loads = LOADS_LATENCY,
    .select = select_fastest,
};
