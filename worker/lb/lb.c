/* worker/lb/lb.c: the rows of algorithms, and views of a pool. */
#include "worker/lb/lb.h"

#include <stdlib.h>
#include <string.h>
#include "worker/lb/algorithms.h"
#include "worker/lb/own.h"

const struct lb_algorithm *const lb_algorithms[] = {
    &lb_round_robin,
    &lb_weighted_round_robin,
    &lb_least_connections,
    &lb_weighted_least_connections,
    &lb_least_response_time,
    &lb_random,
    &lb_power_of_two,
    &lb_first,
    &lb_ip_hash,
    &lb_url_hash,
    &lb_consistent_hash,
    &lb_maglev,
    NULL,
};

const struct lb_algorithm *lb_find(const char *name)
{
    for (unsigned i = 0; lb_algorithms[i]; i++)
        if (strcmp(lb_algorithms[i]->name, name) == 0 ||
            (lb_algorithms[i]->alias && strcmp(lb_algorithms[i]->alias, name) == 0))
            return lb_algorithms[i];
    return NULL;
}

static uint32_t number_of(const struct lb_algorithm *a)
{
    uint32_t i = 0;
    while (lb_algorithms[i] != a)
        i++;
    return i + 1;
}

const struct lb_algorithm *lb_of_pool(const struct table *t, uint32_t pool)
{
    uint32_t number = word_get(&pool_at(t, pool)->balance);
    return number && number < ARRAY_LEN(lb_algorithms) ? lb_algorithms[number - 1] : NULL;
}

enum pool_key lb_key_kind(const struct lb_algorithm *a, const char *hash_key)
{
    bool address = strcmp(hash_key, "client_ip") == 0;
    if (a->key == LB_KEY_NONE)
        return POOL_KEY_NONE;
    if (a->key == LB_KEY_CLIENT || (a->key == LB_KEY_CONFIGURED && address))
        return POOL_KEY_ADDRESS;
    return a->key == LB_KEY_CONFIGURED && strcmp(hash_key, "host") == 0 ? POOL_KEY_HOST
                                                                        : POOL_KEY_BYTES;
}

void lb_prepare(struct table *t, uint32_t pool, const struct lb_algorithm *a)
{
    pool_set_balance(t, pool, number_of(a));
    hashtable_set_kind(t, pool, a->table);
    loads_set_kind(t, pool, a->loads);
}

void lb_view_init(struct lb_view *v, struct table *t, uint32_t pool, const struct lb_algorithm *a)
{
    memset(v, 0, sizeof *v);
    v->table = t;
    v->pool = pool;
    v->algorithm = a;
    v->cursor = t->read_only ? &v->own_cursor : &pool_at(t, pool)->cursor;
    if (t->read_only) {
        v->own_cursor = count_get(&pool_at(t, pool)->cursor);
        return;
    }
    v->probe_us = &pool_at(t, pool)->probe_us;
    v->probe_at = &pool_at(t, pool)->probe_at;
}

void lb_view_free(struct lb_view *v)
{
    free(v->members);
    free(v->schedule);
    memset(v, 0, sizeof *v);
}

static int reserve_members(struct lb_view *v, uint32_t n)
{
    if (n <= v->cap)
        return 0;
    struct lb_member *grown = realloc(v->members, n * sizeof *grown);
    if (!grown)
        return -1;
    v->members = grown;
    v->cap = n;
    return 0;
}

bool lb_acceptable(const struct lb_view *v, const struct lb_request *r, uint32_t entry)
{
    if (entry >= ENTRY_MAX || entry >= word_get(&v->table->header->entries_high))
        return false;
    const struct entry *e = entry_at(v->table, entry);
    return word_get(&e->pool) == v->pool && lb_usable(v, entry) && entry_rank(e) == v->rank &&
           !lb_tried(r, entry);
}

bool lb_has_room(const struct lb_view *v, const struct lb_request *r, uint32_t entry, uint32_t more)
{
    uint64_t milli = word_get(&pool_at(v->table, v->pool)->max_load_milli);
    if (LIKELY(milli == 0) || r->unbounded || v->weight_sum == 0)
        return true;
    uint64_t weight = (uint64_t)entry_weight(entry_at(v->table, entry)) * RAMP_FULL;
    uint64_t all = lb_pool_inflight(v) + !r->placed;
    /* load <= ceil(max_load x all x weight / sum of weights) */
    uint64_t one = v->weight_sum * 1000, share = milli * all * weight;
    return lb_inflight(v, entry) + more <= (share + one - 1) / one;
}

uint32_t lb_select_by_key(const struct lb_view *v, const struct lb_request *r)
{
    uint32_t m = v->count ? (uint32_t)(hash_mix64(r->key) % v->count) : 0;
    for (uint32_t i = 0; i < v->count; i++, m = m + 1 == v->count ? 0 : m + 1)
        if (!lb_tried(r, v->members[m].entry))
            return v->members[m].entry;
    return INDEX_NONE;
}

static void collect(struct lb_view *v, const uint32_t *ids, uint32_t n)
{
    unsigned best = UINT32_MAX;
    v->count = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct entry *e = entry_at(v->table, ids[i]);
        uint32_t weight = entry_weight(e);
        uint32_t parts = weight * lb_share(v, ids[i]);
        if (!lb_usable(v, ids[i]) || parts == 0) /* it may change between the two looks */
            continue;
        unsigned rank = entry_rank(e);
        if (rank > best)
            continue;
        if (rank < best)
            v->count = 0;
        best = v->rank = rank;
        v->members[v->count++] = (struct lb_member){.entry = ids[i], .weight = parts};
    }
}

/* What follows from the members as a whole. */
static void sum_up(struct lb_view *v, uint64_t now_us)
{
    uint64_t step_us = ramp_step_us(v->table, v->pool);
    v->weight_sum = v->ramp_next_us = 0;
    for (uint32_t m = 0; m < v->count; m++) {
        v->weight_sum += v->members[m].weight;
        const struct entry *e = entry_at(v->table, v->members[m].entry);
        if (step_us && ramp_share(v->table, e) < RAMP_FULL)
            v->ramp_next_us = now_us + step_us;
    }
}

/* Time for the next step of a slow start. */
static void follow_ramps(struct lb_view *v, uint64_t now_us)
{
    bool changed = false;
    for (uint32_t m = 0; m < v->count; m++)
        changed |= ramp_follow(v->table, v->members[m].entry, now_us);
    if (changed)
        pool_touch(v->table, v->pool);
    v->ramp_next_us = now_us + ramp_step_us(v->table, v->pool);
}

static int rebuild(struct lb_view *v, uint32_t change, uint64_t now_us)
{
    uint32_t cap =
        word_get(&pool_at(v->table, v->pool)->count) + 64; /* others may be adding meanwhile */
    if (cap > ENTRY_MAX)
        cap = ENTRY_MAX;
    uint32_t *ids = malloc(cap * sizeof *ids);
    if (!ids || reserve_members(v, cap) == -1) {
        free(ids);
        return -1;
    }
    uint32_t count = entry_members(v->table, v->pool, ids, cap);
    if (v->own)
        lb_own_begin(v, ids, count);
    collect(v, ids, count);
    if (v->own && lb_own_keeps_all(v))
        collect(v, ids, count);
    free(ids);
    sum_up(v, now_us);
    v->built = false;
    if (v->algorithm->build && v->algorithm->build(v) == -1) {
        v->count = 0; /* what is left of the last build is not for these members */
        return -1;
    }
    v->change = change;
    v->built = true;
    return 0;
}

int lb_view_refresh(struct lb_view *v, uint64_t now_us)
{
    if (UNLIKELY(v->ramp_next_us && now_us >= v->ramp_next_us && !v->table->read_only))
        follow_ramps(v, now_us);
    uint32_t change = word_get(&pool_at(v->table, v->pool)->change);
    if (UNLIKELY(v->own != NULL))
        lb_own_tick(v, now_us);
    if (LIKELY(v->built && change == v->change))
        return 0;
    if (!v->table->read_only)
        loads_refresh(v->table, v->pool);
    return rebuild(v, change, now_us);
}
