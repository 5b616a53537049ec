#include "admin/metrics.h"

#include <stdlib.h>
#include <string.h>
#include "admin/view.h"
#include "shm/breaker.h"
#include "shm/cache.h"
#include "shm/passive.h"
#include "shm/queue.h"
#include "shm/slot.h"

const uint64_t metrics_le_us[METRICS_LE_COUNT] = {
    1000,   2500,   5000,    10000,   25000,   50000,    100000,
    250000, 500000, 1000000, 2500000, 5000000, 10000000,
};

static void put_char(struct metrics_labels *l, char c)
{
    if (l->len + 1 < sizeof(l->text))
        l->text[l->len++] = c;
}

void metrics_label(struct metrics_labels *l, const char *name, const char *value)
{
    if (l->len)
        put_char(l, ',');
    for (; *name; name++)
        put_char(l, *name);
    put_char(l, '=');
    put_char(l, '"');
    for (; *value; value++) {
        if (*value == '\\' || *value == '"' || *value == '\n')
            put_char(l, '\\');
        put_char(l, *value == '\n' ? 'n' : *value);
    }
    put_char(l, '"');
    l->text[l->len] = '\0';
}

static void load_histo(struct metrics_histo *out, const struct histo_sum *histo, uint64_t sum_us)
{
    out->count = histo->count;
    out->sum_us = sum_us;
    for (uint32_t i = 0; histo->count && i < METRICS_LE_COUNT; i++)
        out->at_most[i] = histo_at_most(histo, metrics_le_us[i]);
}

static bool set_alloc(struct metrics_set *s, uint32_t cap, size_t stride_bytes)
{
    s->stride_bytes = stride_bytes;
    s->cap = cap;
    s->objects = calloc((size_t)cap + 1, stride_bytes);
    return s->objects != NULL;
}

static void *set_next(struct metrics_set *s)
{
    return s->objects + s->stride_bytes * s->count++;
}

static void load_instance(struct metrics_instance *o, const struct table *t)
{
    const struct table_header *h = t->header;
    uint32_t slowest;
    for (uint32_t i = 0; i < SLOT_SERVICE_FIRST; i++)
        o->log_dropped += count_get(&t->slots[i].log_dropped);
    o->one = 1;
    o->generation = word_get(&h->generation);
    o->workers = view_workers_ready(t);
    o->workers_configured = word_get(&h->workers);
    o->clients = slot_clients(t);
    o->max_connections = word_get(&h->max_connections);
    o->started_ms = h->started_wall_ms;
    o->restarts = count_get(&h->restarts);
    o->watchdog_kills = count_get(&h->watchdog_kills);
    o->silence_ms = view_silence_us(t, &slowest) / 1000;
    o->reloads_ok = count_get(&h->reloads_ok);
    o->reloads_failed = count_get(&h->reloads_failed);
}

static void load_leases(struct metrics_instance *o, const struct table *t)
{
    uint32_t leases;
    o->leases_max = word_get(&t->header->grant_max);
    if (!grant_sum(t, &leases, &o->leases_held))
        return;
    o->leases = leases;
#define X(name, help) o->leases_##name = count_get(&t->grant_totals->name);
    GRANT_COUNTERS(X)
#undef X
}

static void load_cache(struct metrics_instance *o, const struct table *t)
{
    struct cache_usage u;
    cache_usage(t, &u);
    o->cache_size_bytes = (uint64_t)u.blocks * CACHE_BLOCK_BYTES;
    o->cache_used_bytes = (uint64_t)u.blocks_used * CACHE_BLOCK_BYTES;
    o->cache_objects = u.objects;
#define X(name, help) o->cache_##name = cache_cell_sum(t, offsetof(struct ccell, name));
    CCELL_COUNTERS(X)
#undef X
}

static void load_pool_cache(struct metrics_pool *o, const struct table *t, uint32_t pool)
{
    o->cache_hits = count_pcell_sum(t, pool, offsetof(struct pcell, cache_hits));
    o->cache_misses = count_pcell_sum(t, pool, offsetof(struct pcell, cache_misses));
    o->cache_stale = count_pcell_sum(t, pool, offsetof(struct pcell, cache_stale));
    o->cache_revalidated = count_pcell_sum(t, pool, offsetof(struct pcell, cache_revalidated));
    o->cache_bypassed = count_pcell_sum(t, pool, offsetof(struct pcell, cache_bypassed));
}

static void load_listener(struct metrics_listener *o, const struct table *t, uint32_t row)
{
    struct view_lcell cell;
    view_lcell_load(&cell, t, row);
    metrics_label(&o->labels, "listener", t->listeners[row].name);
#define X(name, help) o->name = cell.name;
    LCELL_COUNTERS(X)
#undef X
    o->active = cell.active;
    load_histo(&o->histo, &cell.histo, cell.request_us);
}

static void load_backend(struct metrics_backend *o, const struct table *t, uint32_t row,
                         const char *pool)
{
    const struct entry *e = entry_at(t, row);
    struct view_cell cell;
    view_cell_load(&cell, t, row);
    metrics_label(&o->labels, "pool", pool);
    metrics_label(&o->labels, "backend", e->name);
#define X(name, help) o->name = cell.name;
    CELL_COUNTERS(X)
#undef X
    o->up = entry_usable(e);
    o->breaker = breaker_state(e);
    o->ejected = passive_ejected(e);
    o->inflight = entry_inflight(t, row);
    o->weight = entry_weight(e);
    o->max_connections = word_get(&e->max_connections);
    o->checks_ok = count_get(&e->checks_ok);
    o->checks_failed = count_get(&e->checks_failed);
    load_histo(&o->histo, &cell.histo, cell.response_us);
}

/* One pool and its members; members is scratch of ENTRY_MAX. */
static void load_pool(struct metrics_copy *m, const struct table *t, uint32_t pool,
                      uint32_t *members)
{
    struct metrics_pool *o = set_next(&m->sets[SCOPE_POOL]);
    struct metrics_set *backends = &m->sets[SCOPE_BACKEND];
    const char *name = pool_at(t, pool)->name;
    uint32_t count = entry_members(t, pool, members, ENTRY_MAX);
    metrics_label(&o->labels, "pool", name);
    o->no_backend = count_pcell_sum(t, pool, offsetof(struct pcell, no_backend));
    o->queue = queue_length(t, pool);
    o->inflight = pool_inflight(t, pool);
    load_pool_cache(o, t, pool);
    for (uint32_t i = 0; i < count && backends->count < backends->cap; i++) {
        o->by_status[entry_status(entry_at(t, members[i]))]++;
        load_backend(set_next(backends), t, members[i], name);
    }
}

static bool load_all(struct metrics_copy *m, const struct table *t, const uint32_t *listeners,
                     uint32_t listener_count, const uint32_t *pools, uint32_t pool_count,
                     uint32_t *members)
{
    bool ok =
        set_alloc(&m->sets[SCOPE_INSTANCE], 1, sizeof(struct metrics_instance)) &&
        set_alloc(&m->sets[SCOPE_LISTENER], listener_count, sizeof(struct metrics_listener)) &&
        set_alloc(&m->sets[SCOPE_POOL], pool_count, sizeof(struct metrics_pool)) &&
        set_alloc(&m->sets[SCOPE_BACKEND], word_get(&t->header->entries_high),
                  sizeof(struct metrics_backend));
    if (!ok)
        return false;
    struct metrics_instance *instance = set_next(&m->sets[SCOPE_INSTANCE]);
    load_instance(instance, t);
    load_cache(instance, t);
    load_leases(instance, t);
    for (uint32_t i = 0; i < listener_count; i++)
        load_listener(set_next(&m->sets[SCOPE_LISTENER]), t, listeners[i]);
    for (uint32_t i = 0; i < pool_count; i++)
        load_pool(m, t, pools[i], members);
    return true;
}

int metrics_load(struct metrics_copy *m, const struct table *t)
{
    uint32_t listener_count, pool_count;
    uint32_t *listeners = view_listeners(t, &listener_count);
    uint32_t *pools = view_pools(t, &pool_count);
    uint32_t *members = malloc(sizeof(*members) * ENTRY_MAX);
    memset(m, 0, sizeof(*m));
    bool ok = listeners && pools && members &&
              load_all(m, t, listeners, listener_count, pools, pool_count, members);
    free(listeners);
    free(pools);
    free(members);
    if (ok)
        return 0;
    metrics_unload(m);
    return -1;
}

void metrics_unload(struct metrics_copy *m)
{
    for (int i = 0; i < SCOPE_COUNT; i++)
        free(m->sets[i].objects);
    memset(m, 0, sizeof(*m));
}
