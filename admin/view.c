#include "admin/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "shm/slot.h"

/* One walk over the slots that have memory for the row, not one per counter: 10,000 backends are
 * shown every few seconds. */
void view_cell_load(struct view_cell *out, const struct table *t, uint32_t entry)
{
    memset(out, 0, sizeof(*out));
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++) {
        if (entry >= word_get(&t->header->cells_reserved[slot]))
            continue;
        const struct cell *cell = table_cell(t, slot, entry);
#define X(name, help) out->name += count_get(&cell->name);
        CELL_COUNTERS(X)
#undef X
        histo_sum_add(&out->histo, cell->histo);
    }
}

void view_lcell_load(struct view_lcell *out, const struct table *t, uint32_t listener)
{
    memset(out, 0, sizeof(*out));
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++) {
        if (listener >= word_get(&t->header->lcells_reserved[slot]))
            continue;
        const struct lcell *cell = table_lcell(t, slot, listener);
#define X(name, help) out->name += count_get(&cell->name);
        LCELL_COUNTERS(X)
#undef X
        out->active += count_get(&cell->active);
        histo_sum_add(&out->histo, cell->histo);
    }
}

void view_lcell_clear(struct view_lcell *out)
{
    memset(out, 0, sizeof(*out));
}

void view_lcell_add(struct view_lcell *out, const struct view_lcell *add)
{
#define X(name, help) out->name += add->name;
    LCELL_COUNTERS(X)
#undef X
    out->active += add->active;
    for (uint32_t i = 0; i < HISTO_BUCKETS; i++)
        out->histo.buckets[i] += add->histo.buckets[i];
    out->histo.count += add->histo.count;
}

double view_mean_seconds(uint64_t sum_us, uint64_t count)
{
    return count ? (double)sum_us / (double)count / 1e6 : 0;
}

uint32_t *view_pools(const struct table *t, uint32_t *count)
{
    uint32_t high = word_get(&t->header->pools_high);
    uint32_t *rows = malloc(sizeof(*rows) * (high + 1));
    *count = 0;
    for (uint32_t i = 0; rows && i < high; i++)
        if (word_get(&t->pools[i].state) == ROW_LIVE)
            rows[(*count)++] = i;
    return rows;
}

uint32_t *view_listeners(const struct table *t, uint32_t *count)
{
    uint32_t high = word_get(&t->header->listeners_high);
    uint32_t *rows = malloc(sizeof(*rows) * (high + 1));
    *count = 0;
    for (uint32_t i = 0; rows && i < high; i++)
        if (word_get(&t->listeners[i].state) == ROW_LIVE)
            rows[(*count)++] = i;
    return rows;
}

static uint32_t *members_of_all(const struct table *t, uint32_t *rows, uint32_t *count)
{
    uint32_t pool_count;
    uint32_t *pools = view_pools(t, &pool_count);
    for (uint32_t i = 0; pools && i < pool_count; i++)
        *count += entry_members(t, pools[i], rows + *count, ENTRY_MAX - *count);
    free(pools);
    return rows;
}

uint32_t *view_members(const struct table *t, uint32_t pool, uint32_t *count)
{
    uint32_t *rows = malloc(sizeof(*rows) * ENTRY_MAX);
    *count = 0;
    if (!rows)
        return NULL;
    if (pool == INDEX_NONE)
        return members_of_all(t, rows, count);
    *count = entry_members(t, pool, rows, ENTRY_MAX);
    return rows;
}

void view_census_take(struct view_census *out, const struct table *t, uint32_t pool)
{
    uint32_t count;
    uint32_t *rows = view_members(t, pool, &count);
    memset(out, 0, sizeof(*out));
    out->total = count;
    for (uint32_t i = 0; rows && i < count; i++) {
        const struct entry *e = entry_at(t, rows[i]);
        out->by_status[entry_status(e)]++;
        if (entry_usable(e))
            out->usable++;
    }
    free(rows);
}

uint32_t view_workers_ready(const struct table *t)
{
    uint32_t ready = 0, high = word_get(&t->header->slots_high);
    for (uint32_t i = 0; i < high && i < WORKERS_MAX; i++)
        if (word_get(&t->slots[i].role) == SLOT_WORKER &&
            word_get(&t->slots[i].state) == SLOT_READY)
            ready++;
    return ready;
}

uint64_t view_silence_us(const struct table *t, uint32_t *slot)
{
    uint64_t longest_us = 0, now_us = clock_mono_us();
    *slot = 0;
    for (uint32_t i = 0; i < SLOT_MAX; i++) {
        if (word_get(&t->slots[i].state) != SLOT_READY)
            continue;
        uint64_t age_us = slot_heartbeat_age_us(t, i, now_us);
        if (age_us == UINT64_MAX || age_us <= longest_us)
            continue;
        longest_us = age_us;
        *slot = i;
    }
    return longest_us;
}

void view_silence_text(const struct table *t, uint32_t slot, uint64_t age_us, char *out, size_t cap)
{
    const struct slot *s = &t->slots[slot];
    const char *role = slot_role_name((enum slot_role)word_get(&s->role));
    double seconds = (double)age_us / 1e6;
    if (slot == SLOT_HEALTH_INDEX)
        snprintf(out, cap, "the health process has not moved for %.1f s: states are not updated",
                 seconds);
    else if (slot >= SLOT_SERVICE_FIRST)
        snprintf(out, cap, "the %s process has not moved for %.1f s", role, seconds);
    else
        snprintf(out, cap, "%s %u has not moved for %.1f s", role, word_get(&s->index), seconds);
}

char *view_id(const struct table *t, uint32_t entry, char out[VIEW_ID_BYTES])
{
    const struct entry *e = entry_at(t, entry);
    const char *pool = "";
    uint32_t row = word_get(&e->pool);
    if (row < POOL_MAX)
        pool = pool_at(t, row)->name;
    snprintf(out, VIEW_ID_BYTES, "%.*s:%.*s", (int)NAME_MAX_BYTES - 1, pool,
             (int)NAME_MAX_BYTES - 1, e->name);
    return out;
}

static uint32_t find_qualified(const struct table *t, const char *id)
{
    char pool[NAME_MAX_BYTES];
    const char *colon = strchr(id, ':');
    if (!colon || (size_t)(colon - id) >= sizeof(pool))
        return INDEX_NONE;
    memcpy(pool, id, (size_t)(colon - id));
    pool[colon - id] = '\0';
    uint32_t row = pool_find(t, pool);
    return row == INDEX_NONE ? INDEX_NONE : entry_find(t, row, colon + 1);
}

uint32_t view_find(const struct table *t, const char *id, bool *several)
{
    *several = false;
    uint32_t found = find_qualified(t, id);
    if (found != INDEX_NONE)
        return found;
    uint32_t high = word_get(&t->header->pools_high);
    for (uint32_t i = 0; i < high; i++) {
        uint32_t entry =
            word_get(&t->pools[i].state) == ROW_LIVE ? entry_find(t, i, id) : INDEX_NONE;
        if (entry == INDEX_NONE)
            continue;
        if (found != INDEX_NONE) {
            *several = true;
            return INDEX_NONE;
        }
        found = entry;
    }
    return found;
}

const struct conf_pool *view_conf_pool(const struct conf *c, uint32_t row)
{
    for (uint32_t i = 0; i < c->pool_count; i++)
        if (c->pools[i].row == row)
            return &c->pools[i];
    return NULL;
}

const struct conf_listener *view_conf_listener(const struct conf *c, uint32_t row)
{
    for (uint32_t i = 0; i < c->listener_count; i++)
        if (c->listeners[i].row == row)
            return &c->listeners[i];
    return NULL;
}

void view_quantiles(struct json *j, const char *key, const struct histo_sum *histo)
{
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    json_key(j, key);
    json_object_begin(j);
    for (size_t i = 0; i < ARRAY_LEN(quantiles); i++)
        json_kv_double(j, quantiles[i].name, histo_quantile(histo, quantiles[i].q) / 1e6);
    json_object_end(j);
}
