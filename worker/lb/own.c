/* worker/lb/own.c: see worker/lb/own.h. */
#include "worker/lb/own.h"

#include <math.h>
#include "shm/latency.h"

void lb_own_attach(struct lb_view *v, struct lb_own *own)
{
    v->own = own;
    v->probe_us = &own->probe_us;
    v->probe_at = &own->probe_at;
}

struct lb_own_row *lb_own_row(const struct lb_view *v, uint32_t entry)
{
    struct lb_own_row *row = &v->own->rows[entry];
    uint32_t incarnation = word_get(&entry_at(v->table, entry)->incarnation);
    if (UNLIKELY(row->incarnation != incarnation))
        *row = (struct lb_own_row){.incarnation = incarnation, .turn = v->own->turn};
    return row;
}

bool lb_own_usable(const struct lb_view *v, uint32_t entry)
{
    const struct lb_own *own = v->own;
    return entry_usable_at(entry_at(v->table, entry), own->now_us) &&
           (own->keeps_all || lb_own_row(v, entry)->out_until_us <= own->now_us);
}

uint32_t lb_own_share(const struct lb_view *v, uint32_t entry)
{
    return ramp_share_at(v->table, v->pool, entry_at(v->table, entry), v->own->now_us);
}

static const struct purse *purse_of(const struct lb_own *own)
{
    return own->purse ? *own->purse : NULL;
}

/* Of places that are lent to us, those in use count, not those that are idle. */
uint32_t lb_own_inflight(const struct lb_view *v, uint32_t entry, uint32_t all)
{
    const struct purse *purse = purse_of(v->own);
    uint32_t counted = purse ? purse_granted(purse, entry) : 0;
    return (all > counted ? all - counted : 0) + lb_own_row(v, entry)->inflight;
}

uint32_t lb_own_pool_inflight(const struct lb_view *v, uint32_t all)
{
    return purse_of(v->own) ? all : all + v->own->inflight;
}

uint64_t lb_own_latency(const struct lb_view *v, uint32_t entry)
{
    return latency_newer(count_get(&lb_own_row(v, entry)->latency),
                         count_get(&entry_at(v->table, entry)->latency));
}

/* ---- time ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Which members come back, and when a slow start goes on, nobody will write into the table: it has
 * perhaps no traffic. */
static uint64_t change_us(const struct lb_view *v, uint32_t entry)
{
    const struct lb_own *own = v->own;
    uint64_t out_us = lb_own_row(v, entry)->out_until_us;
    uint64_t next_us = entry_change_us(entry_at(v->table, entry), own->now_us);
    if (lb_own_share(v, entry) < RAMP_FULL)
        next_us = earlier(next_us, own->now_us + ramp_step_us(v->table, v->pool));
    return out_us > own->now_us ? earlier(next_us, out_us) : next_us;
}

void lb_own_begin(struct lb_view *v, const uint32_t *entries, uint32_t count)
{
    v->own->keeps_all = false;
    v->own->next_us = 0;
    for (uint32_t i = 0; i < count; i++)
        v->own->next_us = earlier(v->own->next_us, change_us(v, entries[i]));
}

bool lb_own_keeps_all(struct lb_view *v)
{
    v->own->keeps_all = v->count == 0;
    return v->own->keeps_all;
}

void lb_own_tick(struct lb_view *v, uint64_t now_us)
{
    v->own->now_us = now_us;
    if (UNLIKELY(v->own->next_us != 0 && now_us >= v->own->next_us))
        v->built = false;
}

/* ---- by load ---- */

static float weight_of(const struct lb_view *v, uint32_t entry)
{
    float share = (float)lb_own_share(v, entry) / RAMP_FULL;
    return v->algorithm->loads == LOADS_COUNT
               ? share
               : share * (float)entry_weight(entry_at(v->table, entry));
}

/* As weight_of, by what the view was built with: it is built anew at each step of a slow start. */
static float weight_in(const struct lb_view *v, const struct lb_member *m)
{
    if (v->algorithm->loads != LOADS_COUNT)
        return (float)m->weight / RAMP_FULL;
    return LIKELY(v->own->next_us == 0) ? 1 : weight_of(v, m->entry);
}

/* INFINITY: not to be asked. Who is in the view is usable: what changes that touches the pool, and
 * the view was refreshed a moment ago. */
static float score(const struct lb_view *v, const struct lb_member *m)
{
    uint32_t entry = m->entry, load = lb_inflight(v, entry);
    uint32_t limit = word_get(&entry_at(v->table, entry)->max_connections);
    float weight = weight_in(v, m), expected_us = 0;
    if ((limit && load >= limit) || !(weight > 0))
        return INFINITY;
    if (v->algorithm->loads == LOADS_LATENCY)
        expected_us = latency_expected_of(lb_own_latency(v, entry), count_get(&v->own->latency));
    return loads_rate(v->algorithm->loads, load, weight, expected_us);
}

/* One who fell behind while he was busy does not make up for it. */
static double turn_of(const struct lb_view *v, uint32_t entry)
{
    double turn = lb_own_row(v, entry)->turn;
    return turn > v->own->turn ? turn : v->own->turn;
}

uint32_t lb_own_least(const struct lb_view *v, const struct lb_request *r)
{
    uint32_t best = INDEX_NONE;
    float best_score = INFINITY;
    double best_turn = 0;
    uint32_t m = (uint32_t)(cursor_next(v->cursor) * LB_OWN_LOOKS % v->count);
    for (uint32_t i = 0; i < v->count; i++, m = m + 1 == v->count ? 0 : m + 1) {
        uint32_t entry = v->members[m].entry;
        if (i >= LB_OWN_LOOKS && best != INDEX_NONE)
            break;
        float mine = lb_tried(r, entry) ? INFINITY : score(v, &v->members[m]);
        if (mine > best_score || isinf(mine))
            continue;
        double turn = turn_of(v, entry);
        if (mine == best_score && turn >= best_turn)
            continue;
        best = entry;
        best_score = mine;
        best_turn = turn;
    }
    return best;
}

void lb_own_take(const struct lb_view *v, uint32_t entry, uint32_t incarnation)
{
    float weight = weight_of(v, entry);
    double turn = turn_of(v, entry);
    struct lb_own_row *row = &v->own->rows[entry];
    v->own->inflight++;
    if (turn > v->own->turn)
        v->own->turn = turn;
    if (row->incarnation != incarnation) /* another has the slot by now: it is not the one taken */
        return;
    row->inflight++;
    if (weight > 0)
        row->turn = turn + 1.0 / (double)weight;
}
