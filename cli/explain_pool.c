/*
 * cli/explain_pool.c: what the pool's algorithm would do with a request now: the same code as in
 * the workers, over the live table, which is only read: nobody's turn is taken.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/key.h"
#include "cli/explain.h"
#include "cli/why.h"
#include "shm/latency.h"
#include "worker/lb/lb.h"

struct picture {
    struct explain *x;
    const struct conf_pool *pool;
    struct lb_view view;
    struct lb_request request;
    uint32_t *entries;
    uint32_t count;
    uint32_t choice;
};

/* ---- why not ---- */

/* Who could be asked if it were not for the others or for a limit. */
static bool is_passed_over(const struct picture *p, uint32_t entry, char *why)
{
    const struct entry *e = entry_at(p->view.table, entry);
    uint32_t limit = word_get(&e->max_connections), load = entry_inflight(p->view.table, entry);
    if (entry_rank(e) != p->view.rank)
        snprintf(why, WHY_BYTES, "%s",
                 word_get(&e->backup) ? "backup, not needed"
                                      : "not checked yet, others are healthy");
    else if (limit && load >= limit)
        snprintf(why, WHY_BYTES, "at max_connections (%u of %u)", load, limit);
    else if (!lb_has_room(&p->view, &p->request, entry, 1))
        snprintf(why, WHY_BYTES, "has more than its share (max_load)");
    else
        return false;
    return true;
}

static bool explain_exclusion(const struct picture *p, uint32_t entry, char *why)
{
    return why_out(entry_at(p->view.table, entry), why) || is_passed_over(p, entry, why);
}

/* What the algorithm compares; negative: it compares nothing. */
static double score(const struct picture *p, uint32_t entry)
{
    enum loads_kind kind = p->view.algorithm->loads;
    if (kind != LOADS_NONE)
        return (double)loads_score(p->view.table, entry, kind);
    for (uint32_t m = 0; m < p->view.count; m++)
        if (p->view.members[m].entry == entry && p->view.weight_sum)
            return (double)p->view.members[m].weight / (double)p->view.weight_sum;
    return -1;
}

static const char *score_means(const struct picture *p)
{
    switch (p->view.algorithm->loads) {
    case LOADS_COUNT: return "requests in flight, the next one counted in; smallest first";
    case LOADS_WEIGHTED: return "requests in flight for the weight; smallest first";
    case LOADS_LATENCY:
        return "response time (us) x (1 + 0.1 x in flight) / weight; smallest first";
    default: return "share of the weights";
    }
}

/* ---- output ---- */

static void print_text(const struct picture *p)
{
    const struct table *t = p->view.table;
    printf("pool %s: balance %s\n", p->pool->name, p->view.algorithm->name);
    printf("  %-24s %-12s %6s %15s %10s\n", "backend", "status", "weight", "in flight", "score");
    for (uint32_t i = 0; i < p->count; i++) {
        const struct entry *e = entry_at(t, p->entries[i]);
        char why[WHY_BYTES], load[32], text[32] = "-";
        bool out = explain_exclusion(p, p->entries[i], why);
        double value = score(p, p->entries[i]);
        snprintf(load, sizeof(load), "%u/%u", entry_inflight(t, p->entries[i]),
                 word_get(&e->max_connections));
        if (!out && value >= 0)
            snprintf(text, sizeof(text), "%.3g", value);
        printf("%c %-24s %-12s %6u %15s %10s%s%s\n", p->entries[i] == p->choice ? '>' : ' ',
               e->name, entry_status_name(entry_status(e)), entry_weight(e), load, text,
               out ? "  out: " : "", why);
    }
    printf("  score: %s\n", score_means(p));
    if (p->choice == INDEX_NONE)
        printf("choice: none, the request would be answered with 503 or wait in the queue\n");
    else
        printf("choice: %s\n", entry_at(t, p->choice)->name);
}

static void json_backend(const struct picture *p, uint32_t entry)
{
    struct json *j = &p->x->json;
    const struct entry *e = entry_at(p->view.table, entry);
    char why[WHY_BYTES];
    bool out = explain_exclusion(p, entry, why);
    double value = score(p, entry);
    json_object_begin(j);
    json_kv_string(j, "name", e->name);
    json_kv_string(j, "status", entry_status_name(entry_status(e)));
    json_kv_uint(j, "weight", entry_weight(e));
    json_kv_uint(j, "current_connections", entry_inflight(p->view.table, entry));
    json_kv_uint(j, "max_connections", word_get(&e->max_connections));
    json_kv_bool(j, "candidate", !out);
    json_kv_string(j, "excluded", out ? why : NULL);
    if (!out && value >= 0)
        json_kv_double(j, "score", value);
    json_object_end(j);
}

static void print_json(const struct picture *p)
{
    struct json *j = &p->x->json;
    json_object_begin(j);
    json_kv_string(j, "pool", p->pool->name);
    json_kv_string(j, "balance", p->view.algorithm->name);
    json_kv_string(j, "score_means", score_means(p));
    json_key(j, "backends");
    json_array_begin(j);
    for (uint32_t i = 0; i < p->count; i++)
        json_backend(p, p->entries[i]);
    json_array_end(j);
    json_kv_string(j, "choice",
                   p->choice == INDEX_NONE ? NULL : entry_at(p->view.table, p->choice)->name);
    json_object_end(j);
}

/* ---- the picture ---- */

static void fill_key(struct picture *p)
{
    const struct explain *x = p->x;
    enum lb_key key = p->view.algorithm->key;
    bool four = x->client.u.sa.sa_family == AF_INET;
    const uint8_t *ip = four ? (const uint8_t *)&x->client.u.in.sin_addr
                             : (const uint8_t *)&x->client.u.in6.sin6_addr;
    p->request.key =
        key_hash_request(key == LB_KEY_URI ? "uri" : p->pool->hash_key,
                         key == LB_KEY_CLIENT ? NULL : x->head, x->base, ip, four ? 4 : 16);
}

/* As worker/pick.c, without reserving: those at their limit are asked in vain. */
static uint32_t choose(struct picture *p)
{
    uint32_t entry = INDEX_NONE;
    char why[WHY_BYTES];
    while (p->view.count &&
           (entry = p->view.algorithm->select(&p->view, &p->request)) != INDEX_NONE) {
        if (!explain_exclusion(p, entry, why))
            return entry;
        if (p->request.tried_count == LB_TRIED_MAX)
            break;
        p->request.tried[p->request.tried_count++] = entry;
    }
    for (uint32_t m = 0; m < p->view.count; m++)
        if (!explain_exclusion(p, p->view.members[m].entry, why))
            return p->view.members[m].entry;
    return INDEX_NONE;
}

void explain_pool(struct explain *x, const struct conf_pool *pool)
{
    struct picture p = {.x = x, .pool = pool, .choice = INDEX_NONE};
    struct table *t = &x->instance.table;
    uint32_t row = pool_find(t, pool->name);
    if (row == INDEX_NONE) { /* a reload is under way */
        fprintf(stderr, "ballast explain: the table has no pool %s\n", pool->name);
        return;
    }
    uint32_t cap = word_get(&pool_at(t, row)->count) + 1;
    lb_view_init(&p.view, t, row, lb_find(pool->balance));
    p.entries = malloc(cap * sizeof(*p.entries));
    if (p.entries && lb_view_refresh(&p.view, clock_mono_us()) == 0) {
        p.request = (struct lb_request){.now_us = clock_mono_us(), .random = clock_mono_us()};
        p.request.random = hash_mix64(p.request.random);
        p.count = entry_members(t, row, p.entries, cap);
        fill_key(&p);
        p.choice = choose(&p);
        if (x->as_json)
            print_json(&p);
        else
            print_text(&p);
    }
    free(p.entries);
    lb_view_free(&p.view);
}
