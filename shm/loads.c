/*
 * shm/loads.c: see shm/loads.h. A word is, from the top: 2 bits of rank, 31 bits of score, both
 * turned round so that larger is better and 0 is nobody (as in fresh memory), and 31 bits of the
 * member's position in line, compared modulo 2^31. pool_row.turn is where the line is.
 */
#include "shm/loads.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include "base/log.h"
#include "shm/entry.h"
#include "shm/lanes.h"
#include "shm/latency.h"
#include "shm/pool.h"
#include "shm/ramp.h"
#include "shm/table_int.h"

#define FAN         (1u << LOADS_SHIFT)
#define LEVELS      5u /* leaves are level 0 */
#define TURN_BITS   31
#define TURN_MASK   (((uint64_t)1 << TURN_BITS) - 1)
#define TURN_WINDOW ((uint64_t)1 << 28) /* how far one in line may be behind: well below half */
#define STRIDE      32768.0f            /* a turn of weight 1 */
#define SCORE_MASK  0x7fffffffu
#define WORST_RANK  3u

/* Where a level begins in loads.words. */
static const uint32_t level_at[LEVELS] = {LOADS_NODES, LOADS_UPPER, 8 + 32, 8, 0};

/* ---- words
 * ------------------------------------------------------------------------------------------- */

/* A word so turned that the larger one is better: of equals the one further ahead in line. */
static uint64_t in_order(uint64_t word, uint64_t now)
{
    return (word & ~TURN_MASK) | ((now + TURN_MASK / 2 - word) & TURN_MASK);
}

static uint64_t best_of(const struct loads *l, unsigned level, uint32_t block, uint64_t now)
{
    const atom64 *words = &l->words[level_at[level] + block * FAN];
    uint64_t best = 0, best_order = 0;
    for (uint32_t i = 0; i < FAN; i++) {
        uint64_t word = atomic_load(&words[i]), order = word ? in_order(word, now) : 0;
        bool better = order > best_order;
        best = better ? word : best;
        best_order = better ? order : best_order;
    }
    return best;
}

static float weight_of(const struct table *t, const struct entry *e, enum loads_kind kind)
{
    float share = (float)ramp_share(t, e) / RAMP_FULL;
    return kind == LOADS_COUNT ? share : share * (float)entry_weight(e);
}

/* The request to come counts in, but idle ones are equal: they take turns by weight. */
float loads_rate(enum loads_kind kind, uint32_t load, float weight, float expected_us)
{
    if (kind == LOADS_LATENCY)
        return expected_us * (1.0f + 0.1f * (float)load) / weight;
    return load == 0 ? 0 : (float)(load + 1) / weight;
}

static float score_of(const struct table *t, const struct entry *e, enum loads_kind kind,
                      uint32_t load)
{
    uint32_t limit = word_get(&e->max_connections);
    if (limit && load >= limit)
        return INFINITY;
    return loads_rate(kind, load, weight_of(t, e, kind),
                      kind == LOADS_LATENCY ? latency_expected(t, e) : 0);
}

float loads_score(const struct table *t, uint32_t entry, enum loads_kind kind)
{
    const struct entry *e = &t->entries[entry];
    return entry_usable(e) ? score_of(t, e, kind, entry_inflight(t, entry)) : -1;
}

static uint64_t rating_of(float score, unsigned rank)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits); /* of positive floats: in order of value */
    return (uint64_t)(WORST_RANK - rank) << 31 | (~bits & SCORE_MASK);
}

/* The position in line of one who was not picked: where it is, unless it fell far behind. Who is
 * new waits half a turn: else many light ones would all go before a heavy one's second. */
static uint64_t keep_turn(uint64_t now, uint64_t old, float weight)
{
    uint64_t behind = (now - old) & TURN_MASK;
    if (old == 0)
        return (now + (uint64_t)(STRIDE / 2 / weight)) & TURN_MASK;
    return (behind > TURN_WINDOW && behind < TURN_MASK / 2 ? now : old) & TURN_MASK;
}

/* Moves to the end of the line: one turn of its weight after where it stands, or where the line
 * is. */
static uint64_t take_turn(struct table *t, uint32_t pool, uint64_t old, float weight)
{
    struct pool_row *p = &t->pools[pool];
    uint64_t now = count_get(&p->turn), ahead = (old - now) & TURN_MASK;
    uint64_t start = old != 0 && ahead < TURN_MASK / 2 ? now + ahead : now;
    if (start != now)
        atomic_store_explicit(&p->turn, start, memory_order_relaxed);
    if ((start ^ now) / TURN_WINDOW)
        pool_touch(t, pool); /* those who fell behind are brought along */
    return (start + (uint64_t)(STRIDE / weight)) & TURN_MASK;
}

/* A leaf about to be stored, and what it follows from. */
struct leaf {
    uint64_t word;
    uint32_t entry, load;
};

static struct leaf look(struct table *t, uint32_t pool, uint32_t place, uint64_t old, bool picked)
{
    enum loads_kind kind = (enum loads_kind)word_get(&t->pools[pool].loads_kind);
    uint32_t entry = word_get(&table_loads(t, pool)->entries[place]) - 1;
    if (kind == LOADS_NONE || entry >= ENTRY_MAX || word_get(&t->entries[entry].pool) != pool)
        return (struct leaf){.entry = INDEX_NONE};
    const struct entry *e = &t->entries[entry];
    uint32_t load = entry_inflight(t, entry);
    float weight = weight_of(t, e, kind);
    if (!entry_usable(e) || weight <= 0)
        return (struct leaf){.entry = entry, .load = load};
    uint64_t turn = picked ? take_turn(t, pool, old, weight)
                           : keep_turn(count_get(&t->pools[pool].turn), old, weight);
    uint64_t rating = rating_of(score_of(t, e, kind, load), entry_rank(e));
    return (struct leaf){rating << TURN_BITS | turn, entry, load};
}

/* ---- keeping it right: store, and look again whether it is so still
 * ------------------------------------------------------------------------------------------- */

/* True when the leaf changed. What is stored is compared with the load alone: whoever changes
 * anything else touches the pool afterwards. */
static bool update_leaf(struct table *t, uint32_t pool, uint32_t place, bool picked)
{
    atom64 *word = &table_loads(t, pool)->words[level_at[0] + place];
    for (bool changed = false;;) {
        uint64_t old = atomic_load(word);
        struct leaf leaf = look(t, pool, place, old, picked);
        if (leaf.word == old)
            return changed;
        if (!atomic_compare_exchange_strong(word, &old, leaf.word))
            continue;
        changed = true;
        picked = false;
        if (leaf.entry != INDEX_NONE && entry_inflight(t, leaf.entry) == leaf.load)
            return true;
    }
}

static bool update_node(struct table *t, uint32_t pool, unsigned level, uint32_t index)
{
    struct loads *l = table_loads(t, pool);
    atom64 *node = &l->words[level_at[level] + index];
    uint64_t now = count_get(&t->pools[pool].turn);
    for (bool changed = false;;) {
        uint64_t old = atomic_load(node), best = best_of(l, level - 1, index, now);
        if (best == old)
            return changed;
        changed |= atomic_compare_exchange_strong(node, &old, best);
    }
}

void loads_follow(struct table *t, uint32_t entry, bool picked)
{
    const struct entry *e = &t->entries[entry];
    uint32_t place = word_get(&e->leaf) - 1, pool = word_get(&e->pool);
    if (place >= ENTRY_MAX || pool >= POOL_MAX)
        return;                                /* it was taken back meanwhile */
    atomic_thread_fence(memory_order_seq_cst); /* what changed is seen by who stores after us */
    if (!update_leaf(t, pool, place, picked))
        return;
    uint32_t depth = word_get(&t->pools[pool].loads_depth);
    for (unsigned level = 1; level <= depth && level < LEVELS; level++) {
        place >>= LOADS_SHIFT;
        if (!update_node(t, pool, level, place))
            return;
    }
}

/* How many words of a level `places` leaves have. */
static uint32_t width(uint32_t places, unsigned level)
{
    return (places + (1u << (LOADS_SHIFT * level)) - 1) >> (LOADS_SHIFT * level);
}

static void update_all(struct table *t, uint32_t pool)
{
    uint32_t places = word_get(&t->pools[pool].places_high);
    uint32_t depth = word_get(&t->pools[pool].loads_depth);
    atomic_thread_fence(memory_order_seq_cst);
    for (uint32_t i = 0; i < places; i++)
        (void)update_leaf(t, pool, i, false);
    for (unsigned level = 1; level <= depth; level++)
        for (uint32_t i = 0; i < width(places, level); i++)
            (void)update_node(t, pool, level, i);
}

void loads_refresh(struct table *t, uint32_t pool)
{
    struct pool_row *p = &t->pools[pool];
    uint32_t change = word_get(&p->change);
    if (word_get(&p->loads_kind) == LOADS_NONE || word_get(&p->loads_change) == change)
        return;
    update_all(t, pool);
    word_set(&p->loads_change, change);
}

void loads_suspect(struct table *t)
{
    uint32_t high = word_get(&t->header->pools_high);
    for (uint32_t i = 0; i < high; i++)
        if (word_get(&t->pools[i].loads_kind) != LOADS_NONE)
            pool_touch(t, i);
}

/* ---- places
 * ------------------------------------------------------------------------------------------- */

static uint32_t find_place(const struct table *t, uint32_t pool)
{
    const struct pool_row *p = &t->pools[pool];
    uint32_t high = word_get(&p->places_high);
    for (uint32_t i = 0; i < high && word_get(&p->places_free); i++)
        if (word_get(&table_loads(t, pool)->entries[i]) == 0)
            return i;
    return high;
}

/* Before the first leaf behind a new node is used, the levels above are as the leaves are. */
static void grow(struct table *t, uint32_t pool, uint32_t places)
{
    struct pool_row *p = &t->pools[pool];
    uint32_t depth = word_get(&p->loads_depth);
    while (width(places, depth) > FAN) {
        depth++;
        for (uint32_t i = 0; i < width(places, depth); i++)
            (void)update_node(t, pool, depth, i);
    }
    word_set(&p->places_high, places);
    word_set(&p->loads_depth, depth);
}

static int give_place(struct table *t, uint32_t pool, uint32_t entry)
{
    struct pool_row *p = &t->pools[pool];
    uint32_t place = find_place(t, pool), high = word_get(&p->places_high);
    if (place == ENTRY_MAX) {
        errno = ENOSPC;
        return -1;
    }
    if (table_reserve_loads(t, pool, place + 1) == -1)
        return -1;
    if (place == high)
        grow(t, pool, place + 1);
    else
        word_set(&p->places_free, word_get(&p->places_free) - 1);
    word_set(&table_loads(t, pool)->entries[place], entry + 1);
    word_set(&t->entries[entry].leaf, place + 1);
    return 0;
}

int loads_add(struct table *t, uint32_t pool, uint32_t entry)
{
    if (word_get(&t->pools[pool].loads_kind) == LOADS_NONE)
        return 0;
    return give_place(t, pool, entry);
}

void loads_remove(struct table *t, uint32_t entry)
{
    struct entry *e = &t->entries[entry];
    uint32_t place = word_get(&e->leaf) - 1, pool = word_get(&e->pool);
    if (place >= ENTRY_MAX)
        return;
    word_set(&table_loads(t, pool)->entries[place], 0);
    loads_follow(t, entry, false);
    word_set(&e->leaf, 0);
    word_set(&t->pools[pool].places_free, word_get(&t->pools[pool].places_free) + 1);
}

/* Nobody has a place. A worker that still follows a member's old one stores what is true there. */
static void take_all(struct table *t, uint32_t pool)
{
    struct pool_row *p = &t->pools[pool];
    struct loads *l = table_loads(t, pool);
    uint32_t places = word_get(&p->places_high);
    for (uint32_t i = 0; i < places; i++) {
        uint32_t entry = word_get(&l->entries[i]) - 1;
        word_set(&l->entries[i], 0);
        if (entry < ENTRY_MAX && word_get(&t->entries[entry].pool) == pool)
            word_set(&t->entries[entry].leaf, 0);
    }
    update_all(t, pool);
    word_set(&p->places_high, 0);
    word_set(&p->places_free, 0);
    word_set(&p->loads_depth, 0);
}

static int give_all(struct table *t, uint32_t pool)
{
    uint32_t i = word_get(&t->pools[pool].head);
    for (uint32_t steps = 0; i < ENTRY_MAX && steps < ENTRY_MAX; steps++) {
        if (give_place(t, pool, i) == -1)
            return -1;
        i = word_get(&t->entries[i].next);
    }
    return 0;
}

void loads_rebuild(struct table *t, uint32_t pool)
{
    struct pool_row *p = &t->pools[pool];
    if (word_get(&p->loads_kind) == LOADS_NONE)
        return;
    take_all(t, pool);
    if (give_all(t, pool) == -1) {
        take_all(t, pool);
        word_set(&p->loads_kind, LOADS_NONE);
        log_warning("pool %s: no memory to find its least loaded backend fast: each pick looks at "
                    "all of them",
                    p->name);
    }
    pool_touch(t, pool);
}

void loads_set_kind(struct table *t, uint32_t pool, enum loads_kind kind)
{
    struct pool_row *p = &t->pools[pool];
    enum loads_kind before = (enum loads_kind)word_get(&p->loads_kind);
    if (before == kind)
        return;
    word_set(&p->loads_kind, kind);
    if (kind == LOADS_NONE)
        take_all(t, pool);
    else if (before == LOADS_NONE)
        loads_rebuild(t, pool);
    pool_touch(t, pool);
}

/* ---- looking
 * ------------------------------------------------------------------------------------------- */

/* Tried members by their places. */
struct without {
    const struct loads *l;
    uint64_t now;
    uint32_t places[32];
    uint32_t count;
};

static bool covers(const struct without *w, unsigned level, uint32_t index)
{
    for (uint32_t i = 0; i < w->count; i++)
        if (w->places[i] >> (LOADS_SHIFT * level) == index)
            return true;
    return false;
}

/* The best leaf of a block and its place. Where a tried one lies below a node, its word says
 * nothing. */
static uint64_t search(const struct without *w, unsigned level, uint32_t block, uint32_t *place)
{
    uint64_t best = 0, best_order = 0;
    uint32_t best_index = 0, best_place = INDEX_NONE;
    for (uint32_t index = block * FAN; index < (block + 1) * FAN; index++) {
        uint64_t word = atomic_load(&w->l->words[level_at[level] + index]);
        uint32_t at = level == 0 ? index : INDEX_NONE;
        if (word != 0 && w->count && covers(w, level, index))
            word = level == 0 ? 0 : search(w, level - 1, index, &at);
        uint64_t order = word ? in_order(word, w->now) : 0;
        if (order <= best_order)
            continue;
        best = word;
        best_order = order;
        best_index = index;
        best_place = at;
    }
    if (best == 0 || best_place != INDEX_NONE) {
        *place = best_place;
        return best;
    }
    return search(w, level - 1, best_index, place);
}

static void leave_out(const struct table *t, uint32_t pool, const uint32_t *tried, uint32_t count,
                      struct without *w)
{
    for (uint32_t i = 0; i < count && w->count < ARRAY_LEN(w->places); i++) {
        const struct entry *e = &t->entries[tried[i]];
        uint32_t place = word_get(&e->leaf) - 1;
        if (place < ENTRY_MAX && word_get(&e->pool) == pool)
            w->places[w->count++] = place;
    }
}

enum loads_found loads_least(const struct table *t, uint32_t pool, const uint32_t *tried,
                             uint32_t tried_count, uint32_t *entry)
{
    const struct pool_row *p = &t->pools[pool];
    struct without w = {.l = table_loads(t, pool), .now = count_get(&p->turn)};
    uint32_t place = INDEX_NONE, depth = word_get(&p->loads_depth);
    if (word_get(&p->loads_kind) == LOADS_NONE || word_get(&p->places_high) == 0 || depth >= LEVELS)
        return LOADS_UNKNOWN;
    leave_out(t, pool, tried, tried_count, &w);
    uint64_t word = search(&w, depth, 0, &place);
    if (word == 0 || place >= ENTRY_MAX)
        return LOADS_UNKNOWN;
    if ((word >> TURN_BITS & SCORE_MASK) == (rating_of(INFINITY, WORST_RANK)))
        return LOADS_FULL;
    *entry = word_get(&w.l->entries[place]) - 1;
    return *entry < ENTRY_MAX ? LOADS_FOUND : LOADS_UNKNOWN;
}
