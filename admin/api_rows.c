#include "admin/api.h"

#include <stdlib.h>
#include "admin/query.h"
#include "admin/rate.h"
#include "admin/view.h"
#include "base/clock.h"
#include "shm/queue.h"
#include "shm/slot.h"

/* ---- pools ---- */

static void write_census(struct json *j, const struct table *t, uint32_t pool)
{
    struct view_census c;
    view_census_take(&c, t, pool);
    json_kv_uint(j, "backends", c.total);
    json_kv_uint(j, "usable", c.usable);
    json_key(j, "by_status");
    json_object_begin(j);
    for (uint32_t i = 0; i < ARRAY_LEN(c.by_status); i++)
        json_kv_uint(j, entry_status_name((enum entry_status)i), c.by_status[i]);
    json_object_end(j);
}

static void write_pool_traffic(struct json *j, const struct api *a, uint32_t pool)
{
    uint64_t requests = 0, failed = 0;
    double per_second = 0;
    uint32_t count;
    uint32_t *rows = view_members(a->table, pool, &count);
    struct histo_sum histo;
    histo_sum_clear(&histo);
    for (uint32_t i = 0; rows && i < count; i++) {
        requests += count_cell_sum(a->table, rows[i], offsetof(struct cell, requests));
        failed += count_cell_sum(a->table, rows[i], offsetof(struct cell, failed));
        per_second += rate_entry(a->rate, rows[i]);
        histo_sum_entry(&histo, a->table, rows[i]);
    }
    free(rows);
    json_kv_uint(j, "total_requests", requests);
    json_kv_uint(j, "failed_requests", failed);
    json_kv_double(j, "requests_per_second", per_second);
    view_quantiles(j, "response_time", &histo);
}

static void write_pool(struct json *j, const struct api *a, uint32_t pool)
{
    const struct conf_pool *conf = view_conf_pool(a->conf, pool);
    json_object_begin(j);
    json_kv_string(j, "name", pool_at(a->table, pool)->name);
    json_kv_string(j, "balance", conf ? conf->balance : NULL);
    write_census(j, a->table, pool);
    write_pool_traffic(j, a, pool);
    json_kv_uint(j, "current_connections", pool_inflight(a->table, pool));
    json_kv_uint(j, "queue", queue_length(a->table, pool));
    json_kv_uint(j, "no_backend",
                 count_pcell_sum(a->table, pool, offsetof(struct pcell, no_backend)));
    json_object_end(j);
}

/* Leaves those of `pool` (INDEX_NONE: all); how many. */
static uint32_t choose_pool(uint32_t *rows, uint32_t count, uint32_t pool)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; rows && i < count; i++)
        if (pool == INDEX_NONE || rows[i] == pool)
            rows[kept++] = rows[i];
    return kept;
}

void api_pools(struct api *a, const struct request *q, struct response *r)
{
    struct query_part part;
    if (!query_part_read(a, q, &part, r))
        return;
    struct json *j = response_json(r, 200);
    uint32_t count;
    uint32_t *rows = view_pools(a->table, &count);
    count = choose_pool(rows, count, part.pool);
    json_object_begin(j);
    json_key(j, "pools");
    json_array_begin(j);
    for (uint32_t i = query_part_first(&part, count); i < query_part_end(&part, count); i++)
        write_pool(j, a, rows[i]);
    json_array_end(j);
    json_kv_uint(j, "total", count);
    json_object_end(j);
    free(rows);
}

/* ---- listeners ---- */

static void write_listener_conf(struct json *j, const struct conf *c, const struct conf_listener *l)
{
    json_kv_string(j, "protocol", conf_protocol_name(l->protocol));
    json_kv_string(j, "pool", l->pool < c->pool_count ? c->pools[l->pool].name : NULL);
    json_key(j, "bind");
    json_array_begin(j);
    for (uint32_t i = 0; i < l->bind_count; i++)
        json_string(j, l->binds[i].text);
    json_array_end(j);
}

static void write_listener_traffic(struct json *j, const struct api *a, uint32_t row)
{
    struct view_lcell cell;
    view_lcell_load(&cell, a->table, row);
    json_kv_uint(j, "active_connections", cell.active);
#define X(name, help) json_kv_uint(j, #name, cell.name);
    LCELL_COUNTERS(X)
#undef X
    json_kv_double(j, "requests_per_second", rate_listener(a->rate, row));
    json_kv_double(j, "average_response_time", view_mean_seconds(cell.request_us, cell.finished));
    view_quantiles(j, "response_time", &cell.histo);
}

static void write_listener(struct json *j, const struct api *a, uint32_t row)
{
    const struct conf_listener *conf = view_conf_listener(a->conf, row);
    json_object_begin(j);
    json_kv_string(j, "name", a->table->listeners[row].name);
    if (conf)
        write_listener_conf(j, a->conf, conf);
    write_listener_traffic(j, a, row);
    json_object_end(j);
}

void api_listeners(struct api *a, const struct request *q, struct response *r)
{
    struct json *j = response_json(r, 200);
    uint32_t count;
    uint32_t *rows = view_listeners(a->table, &count);
    (void)q;
    json_object_begin(j);
    json_key(j, "listeners");
    json_array_begin(j);
    for (uint32_t i = 0; rows && i < count; i++)
        write_listener(j, a, rows[i]);
    json_array_end(j);
    json_object_end(j);
    free(rows);
}

/* ---- workers and the other processes ---- */

static void write_age(struct json *j, const char *key, uint64_t age_us)
{
    json_key(j, key);
    if (age_us == UINT64_MAX)
        json_null(j);
    else
        json_double(j, (double)age_us / 1e6);
}

static void write_process(struct json *j, const struct table *t, uint32_t slot)
{
    const struct slot *s = &t->slots[slot];
    uint64_t now_us = clock_mono_us(), started_us = count_get(&s->started_mono_us);
    json_object_begin(j);
    json_kv_string(j, "role", slot_role_name((enum slot_role)word_get(&s->role)));
    json_kv_uint(j, "index", word_get(&s->index));
    json_kv_uint(j, "slot", slot);
    json_kv_uint(j, "pid", word_get(&s->pid));
    json_kv_string(j, "state", slot_state_name((enum slot_state)word_get(&s->state)));
    json_kv_uint(j, "generation", word_get(&s->generation));
    write_age(j, "uptime_seconds",
              started_us && started_us <= now_us ? now_us - started_us : UINT64_MAX);
    write_age(j, "heartbeat_age_seconds", slot_heartbeat_age_us(t, slot, now_us));
    json_kv_uint(j, "restarts", count_get(&s->restarts));
    json_kv_uint(j, "connections", word_get(&t->header->clients[slot]));
    json_kv_uint(j, "accepted", count_get(&s->accepted));
    json_kv_uint(j, "total_requests", count_get(&s->requests));
    json_object_end(j);
}

static void write_slots(struct json *j, const struct table *t, uint32_t from, uint32_t to)
{
    json_array_begin(j);
    for (uint32_t i = from; i < to; i++)
        if (word_get(&t->slots[i].role) != SLOT_EMPTY)
            write_process(j, t, i);
    json_array_end(j);
}

void api_rows_workers_write(struct json *j, const struct table *t)
{
    uint32_t high = word_get(&t->header->slots_high);
    write_slots(j, t, 0, high < WORKERS_MAX ? high : WORKERS_MAX);
}

void api_workers(struct api *a, const struct request *q, struct response *r)
{
    struct json *j = response_json(r, 200);
    (void)q;
    json_object_begin(j);
    json_kv_uint(j, "master_pid", a->table->header->master_pid);
    json_kv_uint(j, "configured", word_get(&a->table->header->workers));
    json_kv_uint(j, "ready", view_workers_ready(a->table));
    json_key(j, "workers");
    api_rows_workers_write(j, a->table);
    json_key(j, "services");
    write_slots(j, a->table, SLOT_SERVICE_FIRST, SLOT_MAX);
    json_object_end(j);
}
