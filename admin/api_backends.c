#include "admin/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "admin/query.h"
#include "admin/rate.h"
#include "admin/view.h"
#include "base/clock.h"
#include "shm/breaker.h"
#include "shm/events.h"
#include "shm/passive.h"

/* ---- one backend as JSON ---- */

/* "host:port", "[::1]:80" without the port and the brackets; a unix path stays as it is. */
static void write_host(struct json *j, const struct entry *e)
{
    const char *text = e->endpoint;
    size_t len = strlen(text);
    const char *colon = strrchr(text, ':');
    if (e->addr.u.sa.sa_family != AF_UNIX && colon)
        len = (size_t)(colon - text);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    json_key(j, "host");
    json_string_n(j, text, len);
    json_key(j, "port");
    if (e->addr.u.sa.sa_family == AF_UNIX)
        json_null(j);
    else
        json_uint(j, net_addr_port(&e->addr));
}

/* A pool is HTTP unless only other listeners use it. */
static const char *scheme_of(const struct conf *c, const struct conf_pool *pool)
{
    const char *scheme = "http";
    for (uint32_t i = 0; pool && i < c->listener_count; i++) {
        if (c->listeners[i].pool != (uint32_t)(pool - c->pools))
            continue;
        if (c->listeners[i].protocol == CONF_HTTP)
            return "http";
        scheme = conf_protocol_name(c->listeners[i].protocol);
    }
    return scheme;
}

static void write_identity(struct json *j, const struct api *a, uint32_t entry)
{
    const struct entry *e = entry_at(a->table, entry);
    uint32_t pool = word_get(&e->pool);
    char id[VIEW_ID_BYTES], url[NET_ADDR_STRLEN + 16];
    bool is_unix = e->addr.u.sa.sa_family == AF_UNIX;
    snprintf(url, sizeof(url), "%s%s%s",
             is_unix ? "" : scheme_of(a->conf, view_conf_pool(a->conf, pool)), is_unix ? "" : "://",
             e->endpoint);
    json_kv_string(j, "id", view_id(a->table, entry, id));
    json_kv_string(j, "name", e->name);
    json_kv_string(j, "pool", pool < POOL_MAX ? pool_at(a->table, pool)->name : "");
    write_host(j, e);
    json_kv_string(j, "endpoint", e->endpoint);
    json_kv_string(j, "url", url);
}

static void write_state(struct json *j, const struct entry *e)
{
    static const char *const origins[] = {"configuration", "api", "discovery"};
    uint32_t origin = word_get(&e->origin);
    json_kv_string(j, "status", entry_status_name(entry_status(e)));
    json_kv_string(j, "mode", entry_mode_name((enum entry_mode)word_get(&e->mode)));
    json_kv_string(j, "health", entry_health_name((enum entry_health)word_get(&e->health)));
    json_kv_string(j, "circuit_breaker", breaker_state_name(breaker_state(e)));
    json_kv_bool(j, "ejected", passive_ejected(e));
    json_kv_string(j, "origin", origin < ARRAY_LEN(origins) ? origins[origin] : NULL);
    json_kv_bool(j, "backup", word_get(&e->backup) != 0);
    json_kv_uint(j, "weight", entry_weight(e));
    json_kv_uint(j, "configured_weight", word_get(&e->weight));
}

static void write_load(struct json *j, const struct table *t, uint32_t entry)
{
    uint32_t max = word_get(&entry_at(t, entry)->max_connections);
    uint32_t current = entry_inflight(t, entry);
    json_kv_uint(j, "current_connections", current);
    json_kv_uint(j, "max_connections", max);
    json_kv_double(j, "connection_utilization", max ? (double)current / (double)max : 0);
}

static void write_traffic(struct json *j, const struct api *a, uint32_t entry)
{
    struct view_cell cell;
    view_cell_load(&cell, a->table, entry);
    json_kv_uint(j, "total_requests", cell.requests);
    json_kv_uint(j, "failed_requests", cell.failed);
    json_kv_double(j, "requests_per_second", rate_entry(a->rate, entry));
    json_kv_double(j, "average_response_time", view_mean_seconds(cell.response_us, cell.responses));
    view_quantiles(j, "response_time", &cell.histo);
    json_kv_uint(j, "responses_5xx", cell.status_5xx);
    json_kv_uint(j, "connect_errors", cell.connect_errors);
    json_kv_uint(j, "timeouts", cell.timeouts);
    json_kv_uint(j, "retries", cell.retries);
    json_kv_uint(j, "bytes_in", cell.bytes_in);
    json_kv_uint(j, "bytes_out", cell.bytes_out);
}

/* What the last check met: the status of the answer, or what the system said. */
static void write_health_code(struct json *j, const struct entry *e)
{
    int32_t code = (int32_t)word_get(&e->health_code);
    json_key(j, "last_health_check_status");
    if (code > 0)
        json_uint(j, (uint32_t)code);
    else
        json_null(j);
    json_kv_string(j, "last_health_check_error", code < 0 ? strerror(-code) : NULL);
}

static void write_health(struct json *j, const struct entry *e)
{
    uint64_t checked_us = count_get(&e->health_checked_us), now_us = clock_mono_us();
    char when[32];
    json_kv_string(j, "created_at",
                   clock_format_rfc3339(count_get(&e->created_wall_ms), when, sizeof when));
    write_health_code(j, e);
    json_kv_uint(j, "health_checks_passed", count_get(&e->checks_ok));
    json_kv_uint(j, "health_checks_failed", count_get(&e->checks_failed));
    if (checked_us && checked_us <= now_us) {
        uint64_t wall_ms = clock_wall_ms() - (now_us - checked_us) / 1000;
        json_kv_string(j, "last_health_check", clock_format_rfc3339(wall_ms, when, sizeof(when)));
        json_kv_double(j, "health_check_time", (double)word_get(&e->health_latency_us) / 1e6);
    } else {
        json_kv_string(j, "last_health_check", NULL);
    }
}

void api_backends_write(struct json *j, const struct api *a, uint32_t entry)
{
    const struct entry *e = entry_at(a->table, entry);
    json_object_begin(j);
    write_identity(j, a, entry);
    write_state(j, e);
    api_change_write_layers(j, a->table, entry);
    write_load(j, a->table, entry);
    write_traffic(j, a, entry);
    write_health(j, e);
    json_object_end(j);
}

/* ---- reading ---- */

uint32_t api_backend_of(const struct api *a, const struct request *q, struct response *r)
{
    bool several;
    uint32_t entry = view_find(a->table, q->id, &several);
    if (entry != INDEX_NONE)
        return entry;
    if (several)
        response_problem(r, 404, "no-such-object",
                         "several pools have a backend %.100s: say pool:%.100s", q->id, q->id);
    else
        response_problem(r, 404, "no-such-object", "there is no backend %.200s", q->id);
    return INDEX_NONE;
}

uint32_t api_backends_write_part(struct json *j, const struct api *a, const struct query_part *part)
{
    uint32_t count;
    uint32_t *rows = view_members(a->table, part->pool, &count);
    json_array_begin(j);
    for (uint32_t i = query_part_first(part, count); rows && i < query_part_end(part, count); i++)
        api_backends_write(j, a, rows[i]);
    json_array_end(j);
    free(rows);
    return count;
}

void api_backends_list(struct api *a, const struct request *q, struct response *r)
{
    struct query_part part;
    if (!query_part_read(a, q, &part, r))
        return;
    struct json *j = response_json(r, 200);
    json_object_begin(j);
    json_key(j, "backends");
    uint32_t total = api_backends_write_part(j, a, &part);
    json_kv_uint(j, "total", total);
    json_object_end(j);
}

void api_backends_get(struct api *a, const struct request *q, struct response *r)
{
    uint32_t entry = api_backend_of(a, q, r);
    if (entry != INDEX_NONE)
        api_change_answer(r, a, entry);
}

/* ---- changing ---- */

void api_record(const struct api *a, const struct request *q, const char *object, const char *from,
                const char *to, const char *what)
{
    char reason[144];
    snprintf(reason, sizeof(reason), "%s by %s", what, q->peer);
    event_write(a->table, a->slot, "admin", object, from, to, reason);
}

int api_cut_asked(const struct request *q, struct response *r)
{
    char now[8] = "0";
    if (request_query(q, "now", now, sizeof now) >= 0 && strlen(now) == 1 && strchr("01", *now))
        return *now == '1';
    response_problem(r, 400, "bad-request", "now must be 1 (cut what is in flight) or 0");
    return -1;
}

static void answer_removed(struct response *r, const char *id, uint32_t in_flight)
{
    struct json *j = response_json(r, 200);
    json_object_begin(j);
    json_kv_string(j, "id", id);
    json_kv_bool(j, "removed", true);
    json_kv_uint(j, "in_flight", in_flight);
    json_object_end(j);
}

void api_backends_remove(struct api *a, const struct request *q, struct response *r)
{
    char id[VIEW_ID_BYTES];
    int cut = api_cut_asked(q, r);
    if (cut == -1)
        return;
    table_lock(a->table);
    uint32_t entry = api_change_begin(a, q, r), in_flight = 0;
    if (entry != INDEX_NONE) {
        view_id(a->table, entry, id);
        in_flight = entry_inflight(a->table, entry);
        entry_remove(a->table, entry);
        if (cut)
            entry_cut(a->table, entry);
    }
    table_unlock(a->table);
    if (entry == INDEX_NONE)
        return;
    api_record(a, q, id, NULL, "removed", cut ? "remove, cutting what was in flight" : "remove");
    answer_removed(r, id, in_flight);
}
