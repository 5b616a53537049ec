#include "admin/api.h"

#include <stdio.h>
#include <stdlib.h>
#include "admin/view.h"
#include "base/clock.h"
#include "shm/slot.h"

static void reason_of_pool(struct json *j, const struct pool_row *pool, const struct view_census *c)
{
    char text[160];
    if (c->total == 0)
        snprintf(text, sizeof(text), "pool %s has no backend", pool->name);
    else if (c->usable == 0)
        snprintf(text, sizeof(text), "pool %s: none of %u backends is usable", pool->name,
                 c->total);
    else
        snprintf(text, sizeof(text), "pool %s: %u of %u backends unhealthy", pool->name,
                 c->by_status[STATUS_UNHEALTHY], c->total);
    json_string(j, text);
}

static uint32_t reasons_of_pools(struct json *j, const struct table *t, bool *degraded)
{
    uint32_t count, dead = 0;
    uint32_t *pools = view_pools(t, &count);
    for (uint32_t i = 0; pools && i < count; i++) {
        struct view_census c;
        view_census_take(&c, t, pools[i]);
        if (c.usable && !c.by_status[STATUS_UNHEALTHY])
            continue;
        dead += c.usable == 0;
        *degraded = true;
        reason_of_pool(j, pool_at(t, pools[i]), &c);
    }
    free(pools);
    return dead;
}

uint32_t api_health_reasons(struct json *j, const struct api *a, bool *degraded)
{
    uint32_t configured = word_get(&a->table->header->workers);
    uint32_t ready = view_workers_ready(a->table);
    uint32_t dead = reasons_of_pools(j, a->table, degraded);
    if (ready < configured) {
        char text[80];
        snprintf(text, sizeof(text), "%u of %u workers ready", ready, configured);
        json_string(j, text);
        *degraded = true;
    }
    uint32_t slowest;
    uint64_t silence_us = view_silence_us(a->table, &slowest);
    if (silence_us >= VIEW_SILENT_US) {
        char text[80];
        view_silence_text(a->table, slowest, silence_us, text, sizeof(text));
        json_string(j, text);
        *degraded = true;
    }
    return dead;
}

static void write_pools(struct json *j, const struct table *t)
{
    uint32_t count;
    uint32_t *pools = view_pools(t, &count);
    json_key(j, "pools");
    json_object_begin(j);
    for (uint32_t i = 0; pools && i < count; i++) {
        struct view_census c;
        view_census_take(&c, t, pools[i]);
        json_key(j, pool_at(t, pools[i])->name);
        json_object_begin(j);
        json_kv_uint(j, "usable", c.usable);
        json_kv_uint(j, "total", c.total);
        json_object_end(j);
    }
    json_object_end(j);
    free(pools);
}

void api_health(struct api *a, const struct request *q, struct response *r)
{
    const struct table_header *h = a->table->header;
    struct json *j = response_json(r, 200);
    bool degraded = false;
    (void)q;
    json_object_begin(j);
    json_key(j, "reasons");
    json_array_begin(j);
    uint32_t dead = api_health_reasons(j, a, &degraded);
    json_array_end(j);
    json_kv_string(j, "status", dead ? "unhealthy" : degraded ? "degraded" : "healthy");
    json_kv_string(j, "version", BALLAST_VERSION);
    json_kv_double(j, "uptime_seconds", (double)(clock_mono_us() - h->started_mono_us) / 1e6);
    json_kv_uint(j, "generation", word_get(&h->generation));
    json_kv_uint(j, "workers", view_workers_ready(a->table));
    json_kv_uint(j, "workers_configured", word_get(&h->workers));
    write_pools(j, a->table);
    json_object_end(j);
    if (dead)
        r->status = 503;
}
