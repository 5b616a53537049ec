/*
 * worker/lb/weighted_round_robin.c: turns in proportion to weight, spread as evenly as whole turns
 * allow (no bursts), exact across workers.
 *
 * The order of one cycle (the sum of the weights, divided by their greatest common divisor) is
 * computed once per change by worst-case-fair weighted fair queueing (Bennett & Zhang, "WF2Q",
 * INFOCOM 1996): turn k of a member with weight w becomes eligible at k/w of the cycle and is due
 * at (k+1)/w; each place goes to the eligible turn that is due first. Any member's share of any
 * prefix is within one turn of the ideal. A pick is then the pool's shared cursor modulo the cycle.
 * Every worker computes the same order from the same members. Cycles longer than SCHEDULE_MAX are
 * shortened by scaling the weights down (at least 1 each).
 */
#include <stdlib.h>
#include "worker/lb/algorithms.h"

#define SCHEDULE_MAX (1u << 20)

struct turn {
    uint64_t k; /* turns taken in this cycle */
    uint64_t weight;
    uint32_t member;
};

/* a/b < c/d for positive b, d; operands stay below 2^21, so products fit. */
static bool fraction_less(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return a * d < c * b;
}

static bool due_first(const struct turn *a, const struct turn *b)
{
    if (fraction_less(a->k + 1, a->weight, b->k + 1, b->weight))
        return true;
    return !fraction_less(b->k + 1, b->weight, a->k + 1, a->weight) && a->member < b->member;
}

static bool eligible_first(const struct turn *a, const struct turn *b)
{
    if (fraction_less(a->k, a->weight, b->k, b->weight))
        return true;
    return !fraction_less(b->k, b->weight, a->k, a->weight) && a->member < b->member;
}

/* A binary heap of turns, smallest first by `less`. */
struct heap {
    struct turn *at;
    uint32_t count;
    bool (*less)(const struct turn *a, const struct turn *b);
};

static void heap_push(struct heap *h, struct turn item)
{
    uint32_t i = h->count++;
    for (; i > 0 && h->less(&item, &h->at[(i - 1) / 2]); i = (i - 1) / 2)
        h->at[i] = h->at[(i - 1) / 2];
    h->at[i] = item;
}

static struct turn heap_pop(struct heap *h)
{
    struct turn top = h->at[0], last = h->at[--h->count];
    uint32_t i = 0;
    for (uint32_t child; (child = 2 * i + 1) < h->count; i = child) {
        if (child + 1 < h->count && h->less(&h->at[child + 1], &h->at[child]))
            child++;
        if (!h->less(&h->at[child], &last))
            break;
        h->at[i] = h->at[child];
    }
    h->at[i] = last;
    return top;
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* Weights divided by their gcd, and scaled when the cycle would be too long. Returns the cycle. */
static uint64_t reduce_weights(const struct lb_view *v, struct turn *turns)
{
    uint32_t divisor = 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < v->count; i++)
        divisor = gcd(v->members[i].weight, divisor);
    for (uint32_t i = 0; i < v->count; i++) {
        turns[i] = (struct turn){.weight = v->members[i].weight / divisor, .member = i};
        sum += turns[i].weight;
    }
    if (sum <= SCHEDULE_MAX)
        return sum;
    uint64_t scaled = 0;
    for (uint32_t i = 0; i < v->count; i++) {
        turns[i].weight = turns[i].weight * (SCHEDULE_MAX / 2) / sum + 1;
        scaled += turns[i].weight;
    }
    return scaled;
}

static void fill_schedule(struct lb_view *v, struct heap *waiting, struct heap *ready,
                          uint64_t cycle)
{
    for (uint64_t t = 0; t < cycle; t++) {
        while (waiting->count && waiting->at[0].k * cycle <= t * waiting->at[0].weight)
            heap_push(ready, heap_pop(waiting));
        struct turn turn = heap_pop(ready);
        v->schedule[t] = turn.member;
        turn.k++;
        if (turn.k < turn.weight)
            heap_push(waiting, turn);
    }
}

static int build(struct lb_view *v)
{
    v->schedule_len = 0;
    if (v->count == 0)
        return 0;
    struct turn *turns = calloc(3 * (size_t)v->count, sizeof *turns);
    if (!turns)
        return -1;
    uint64_t cycle = reduce_weights(v, turns);
    uint32_t *schedule = realloc(v->schedule, (size_t)cycle * sizeof *schedule);
    if (!schedule) {
        free(turns);
        return -1;
    }
    v->schedule = schedule;
    struct heap waiting = {.at = turns + v->count, .less = eligible_first};
    struct heap ready = {.at = turns + 2 * (size_t)v->count, .less = due_first};
    for (uint32_t i = 0; i < v->count; i++)
        heap_push(&waiting, turns[i]);
    fill_schedule(v, &waiting, &ready, cycle);
    v->schedule_len = (uint32_t)cycle;
    free(turns);
    return 0;
}

static uint32_t select_next(const struct lb_view *v, const struct lb_request *r)
{
    if (v->schedule_len == 0)
        return INDEX_NONE;
    uint64_t at = cursor_next(v->cursor);
    /* A refused member's turn goes to the next in the order, without spending the others' turns. */
    for (uint32_t i = 0; i < v->schedule_len; i++) {
        uint32_t m = v->schedule[(at + i) % v->schedule_len];
        if (!lb_tried(r, v->members[m].entry))
            return v->members[m].entry;
    }
    return INDEX_NONE;
}

const struct lb_algorithm lb_weighted_round_robin = {
    .name = "weighted_round_robin",
    .help = "Turns in proportion to weight, evenly spread, exact across all workers.",
    .cost = "O(1)",
    .build = build,
    .select = select_next,
};
