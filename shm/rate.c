/*
 * shm/rate.c: see shm/rate.h. How one key is counted.
 *
 * A bucket is eight state words (one cache line), eight times of the last admission, and for a
 * sliding window eight logs. A state word is the key's tag (high half) and what decides (low half):
 * a timestamp in units, modulo 2^32, or a place in the log. The time of the last admission tells
 * whether that timestamp still means anything; it is written before the state word and read after
 * it, so whoever succeeds with a compare-and-swap has seen a time as new as the state he replaces.
 *
 * Cells are taken into use from the first, so all who look for a new key agree which cell is next;
 * in a full bucket they agree because the victim depends on the cells' contents alone.
 */
#include "shm/rate.h"

#include <assert.h>
#include <string.h>

#define ATTEMPTS 1000u /* somebody else succeeds in each: an invariant of the algorithm */

/* ---- what a limit says, compiled ---- */

static uint32_t shift_for(uint64_t amount, unsigned bits)
{
    uint32_t shift = 0;
    while (amount >> shift >> bits)
        shift++;
    return shift;
}

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

static void compile_bucket(const struct rate_spec *s, struct rate_plan *p)
{
    uint64_t period_us = (uint64_t)s->period_ms * 1000;
    p->shift = shift_for(s->burst * period_us, 29);
    p->interval = (uint32_t)divide_up(period_us, 1ull << p->shift);
    p->tolerance = (s->burst - 1) * p->interval;
    p->idle_us = divide_up((uint64_t)s->burst * p->interval << p->shift, s->count);
    p->cell_bytes = 2 * sizeof(uint64_t);
}

/* The window has about 2^20 units: times of a log wrap only after 4096 windows, and none of them is
 * older than RATE_BLOCKS windows. */
static void compile_window(const struct rate_spec *s, struct rate_plan *p)
{
    uint64_t period_us = (uint64_t)s->period_ms * 1000;
    p->shift = shift_for(period_us, 20);
    p->window = (uint32_t)divide_up(period_us, 1ull << p->shift);
    p->blocks = s->count < RATE_BLOCKS ? s->count : RATE_BLOCKS;
    p->block_min = s->count / p->blocks;
    p->block_more = s->count % p->blocks;
    p->idle_us = period_us + (2ull << p->shift);
    p->cell_bytes = 2 * sizeof(uint64_t) + (p->blocks + 1) / 2 * 8;
}

/* Half as many cells again as keys, so that few of them meet in a full bucket. */
void rate_compile(const struct rate_spec *s, struct rate_plan *out)
{
    assert(s->count && s->period_ms && s->entries);
    *out = (struct rate_plan){.algorithm = s->algorithm, .count = s->count};
    out->quiet =
        s->quiet && s->algorithm != RATE_LEAKY_BUCKET; /* how long it waits must be known */
    out->buckets = (uint32_t)divide_up((uint64_t)s->entries * 3 / 2, RATE_WAYS);
    if (s->algorithm == RATE_SLIDING_WINDOW)
        compile_window(s, out);
    else
        compile_bucket(s, out);
}

uint64_t rate_bytes(const struct rate_plan *p)
{
    return (uint64_t)p->buckets * RATE_WAYS * p->cell_bytes;
}

/* ---- a key's place ---- */

struct bucket {
    atom64 *state, *seen;
    atom32 *log; /* of way 0; sliding window only */
    uint32_t log_stride;
};

struct debt {
    uint32_t now, ahead; /* units; ahead: of its time */
};

/* One try: what the cell said when we looked. */
struct look {
    const struct rate_plan *plan;
    struct bucket b;
    uint64_t tag, now_us;
    uint32_t way;
    uint64_t state, seen; /* as read, in this order */
    uint32_t logged;      /* sliding window: of the block that the next admission goes to */
    struct debt debt;     /* buckets */
    bool fresh;           /* the key has no cell yet: `way` is the one to take */
};

static struct bucket bucket_of(const struct rate_table *r, uint64_t key)
{
    const struct rate_plan *p = r->plan;
    uint64_t index = ((key >> 32) * p->buckets) >> 32;
    char *at = r->base + index * RATE_WAYS * p->cell_bytes;
    struct bucket b = {.state = (atom64 *)(void *)at, .seen = (atom64 *)(void *)at + RATE_WAYS};
    b.log = (atom32 *)(void *)(at + 2 * RATE_WAYS * sizeof(uint64_t));
    b.log_stride = (p->blocks + 1) / 2 * 2;
    return b;
}

static atom32 *log_of(const struct look *l)
{
    return l->b.log + (size_t)l->way * l->b.log_stride;
}

static uint32_t units_now(const struct rate_plan *p, uint64_t now_us)
{
    return (uint32_t)((p->algorithm == RATE_SLIDING_WINDOW ? now_us : now_us * p->count) >>
                      p->shift);
}

static uint64_t units_to_us(const struct rate_plan *p, uint32_t units)
{
    uint64_t scaled = (uint64_t)units << p->shift;
    return p->algorithm == RATE_SLIDING_WINDOW ? scaled : divide_up(scaled, p->count);
}

/* State of a sliding window: the block being filled, how full it is, and whether all blocks were
 * used once: then the log says when the next one was filled last. */
struct place {
    uint32_t block, fill;
    bool wrapped;
};

static struct place unpack(uint64_t state)
{
    return (struct place){(uint32_t)state & 31, (uint32_t)state >> 6, (uint32_t)state >> 5 & 1};
}

static uint64_t pack(struct place p)
{
    return (uint64_t)p.fill << 6 | (p.wrapped ? 32u : 0u) | p.block;
}

static uint32_t block_size(const struct rate_plan *p, uint32_t block)
{
    return p->block_min + (block < p->block_more);
}

/* When nothing will be owed any more: of all in a bucket the one with the earliest is evicted. A
 * function of the cell alone, not of the time of whoever asks. */
static uint64_t free_at(const struct rate_plan *p, uint64_t state, uint64_t seen_us)
{
    if (p->algorithm != RATE_SLIDING_WINDOW) {
        uint32_t debt = (uint32_t)state - units_now(p, seen_us);
        return seen_us + units_to_us(p, debt > INT32_MAX ? 0 : debt);
    }
    struct place at = unpack(state);
    uint64_t used = at.wrapped ? p->count : (uint64_t)at.block * p->block_min + at.fill;
    return seen_us + p->idle_us * (used < p->count ? used : p->count) / p->count;
}

/* The key's cell, or the one that it would get: the first never used, else the victim. */
static void look_up(struct look *l)
{
    uint64_t best = UINT64_MAX;
    for (uint32_t way = 0; way < RATE_WAYS; way++) {
        uint64_t state = atomic_load(&l->b.state[way]), seen = atomic_load(&l->b.seen[way]);
        l->fresh = state >> 32 != l->tag;
        uint64_t at = l->fresh && state ? free_at(l->plan, state, seen) : 0;
        if (at >= best)
            continue;
        best = at;
        l->way = way;
        l->state = state;
        l->seen = seen;
        if (!l->fresh || state == 0)
            return;
    }
}

/* Nothing is owed: a new key, or one that was idle. */
static bool owes_nothing(const struct look *l)
{
    return l->fresh || l->now_us >= l->seen + l->plan->idle_us;
}

/* Never older than what it replaces: another worker's clock reading may be newer than ours. */
static void note_seen(const struct look *l)
{
    uint64_t seen = atomic_load(&l->b.seen[l->way]);
    while (seen < l->now_us && !atomic_compare_exchange_weak(&l->b.seen[l->way], &seen, l->now_us))
        ;
}

static bool swap_state(const struct look *l, uint32_t low)
{
    uint64_t expected = l->state;
    return atomic_compare_exchange_strong(&l->b.state[l->way], &expected, l->tag << 32 | low);
}

/* ---- token and leaky bucket ---- */

static struct debt debt_of(const struct look *l)
{
    struct debt d = {.now = units_now(l->plan, l->now_us)};
    uint32_t ahead = (uint32_t)l->state - d.now;
    if (!owes_nothing(l) && ahead <= l->plan->tolerance + l->plan->interval)
        d.ahead = ahead;
    return d;
}

/* What is said of it takes divisions, which cost more than all the rest. */
static bool judge_bucket(struct look *l, struct rate_verdict *v)
{
    const struct rate_plan *p = l->plan;
    const struct debt d = l->debt = debt_of(l);
    v->allowed = d.ahead <= p->tolerance;
    if (v->allowed && p->quiet)
        return true;
    v->reset_us = units_to_us(p, d.ahead);
    v->remaining = v->allowed ? (p->tolerance - d.ahead) / p->interval + 1 : 0;
    v->wait_us = 0;
    if (!v->allowed)
        v->wait_us = units_to_us(p, d.ahead - p->tolerance);
    else if (p->algorithm == RATE_LEAKY_BUCKET)
        v->wait_us = v->reset_us;
    return v->allowed;
}

static bool count_bucket(const struct look *l, struct rate_verdict *v)
{
    const struct debt d = l->debt;
    note_seen(l);
    if (!swap_state(l, d.now + d.ahead + l->plan->interval))
        return false;
    if (l->plan->quiet)
        return true;
    v->remaining--;
    v->reset_us = units_to_us(l->plan, d.ahead + l->plan->interval);
    return true;
}

/* ---- sliding window ---- */

/* Where the next admission goes. */
static struct place next_place(const struct look *l)
{
    struct place at = {0};
    if (owes_nothing(l))
        return at;
    at = unpack(l->state);
    if (at.fill >= block_size(l->plan, at.block)) {
        at.block = at.block + 1 == l->plan->blocks ? 0 : at.block + 1;
        at.wrapped |= at.block == 0;
        at.fill = 0;
    }
    return at;
}

/* A time newer than ours, of another worker, has no age. */
static bool has_left(const struct look *l, uint32_t logged)
{
    uint32_t age = units_now(l->plan, l->now_us) - logged;
    return age >= l->plan->window && age <= INT32_MAX;
}

/* What of the log is still in the window. */
static uint32_t count_used(const struct look *l)
{
    if (owes_nothing(l))
        return 0;
    struct place at = unpack(l->state);
    uint32_t used = 0;
    for (uint32_t block = 0; block < (at.wrapped ? l->plan->blocks : at.block + 1); block++)
        if (!has_left(l, atomic_load(&log_of(l)[block])))
            used += block == at.block ? at.fill : block_size(l->plan, block);
    return used;
}

static bool judge_window(struct look *l, struct rate_verdict *v)
{
    const struct rate_plan *p = l->plan;
    struct place at = next_place(l);
    uint64_t since_us = l->now_us > l->seen ? l->now_us - l->seen : 0;
    l->logged = atomic_load(&log_of(l)[at.block]);
    v->allowed = at.fill > 0 || !at.wrapped || has_left(l, l->logged);
    v->reset_us = owes_nothing(l) || since_us > p->idle_us ? 0 : p->idle_us - since_us;
    v->wait_us = 0;
    v->remaining = 0;
    if (v->allowed && !p->quiet) {
        uint32_t used = count_used(l);
        v->remaining = used < p->count ? p->count - used : 1;
    } else if (!v->allowed) {
        uint32_t age = units_now(p, l->now_us) - l->logged;
        v->wait_us = units_to_us(p, age <= INT32_MAX ? p->window - age : p->window);
    }
    return v->allowed;
}

/* The time of a block is written before its admission counts: killed in between, the key waits
 * longer than it must. Only over what was there when we judged, and never back in time, but for
 * what another key left there. */
static bool write_log(const struct look *l, struct place at)
{
    uint32_t now = units_now(l->plan, l->now_us) + 1, ahead = l->logged - now;
    uint32_t expected = l->logged;
    if (ahead <= (at.fill > 0 ? (uint32_t)INT32_MAX : l->plan->window))
        return true;
    return atomic_compare_exchange_strong(&log_of(l)[at.block], &expected, now);
}

static bool count_window(const struct look *l, struct rate_verdict *v)
{
    struct place at = next_place(l);
    note_seen(l);
    if (!write_log(l, at))
        return false;
    at.fill++;
    if (!swap_state(l, (uint32_t)pack(at)))
        return false;
    if (l->plan->quiet)
        return true;
    v->remaining--;
    v->reset_us = l->plan->idle_us;
    return true;
}

/* ---- both ---- */

/* A refusal counts when it was not judged by what somebody else was just changing. */
static bool judge(struct look *l, struct rate_verdict *v)
{
    for (uint32_t i = 0; i < ATTEMPTS; i++) {
        look_up(l);
        if (l->plan->algorithm == RATE_SLIDING_WINDOW ? judge_window(l, v) : judge_bucket(l, v))
            return true;
        if (atomic_load(&l->b.state[l->way]) == l->state)
            break;
    }
    return false;
}

static struct look begin(const struct rate_table *r, uint64_t key, uint64_t now_us)
{
    uint32_t tag = (uint32_t)key;
    return (struct look){
        .plan = r->plan, .b = bucket_of(r, key), .tag = tag ? tag : 1, .now_us = now_us};
}

bool rate_peek(const struct rate_table *r, uint64_t key, uint64_t now_us, struct rate_verdict *v)
{
    struct look l = begin(r, key, now_us);
    *v = (struct rate_verdict){0};
    return judge(&l, v);
}

bool rate_take(const struct rate_table *r, uint64_t key, uint64_t now_us, struct rate_verdict *v)
{
    struct look l = begin(r, key, now_us);
    *v = (struct rate_verdict){0};
    for (uint32_t i = 0; i < ATTEMPTS && judge(&l, v); i++) {
        v->evicted = l.fresh && l.state != 0 && free_at(l.plan, l.state, l.seen) > now_us;
        if (r->plan->algorithm == RATE_SLIDING_WINDOW ? count_window(&l, v) : count_bucket(&l, v))
            return true;
    }
    v->allowed = false;
    return false;
}
