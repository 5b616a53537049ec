/* cli/top_json.c: `ballast top --json`, with the names of GET /lb/stats where both say the same
 * thing. */
#include "base/clock.h"
#include "base/json.h"
#include "cli/top.h"
#include "shm/slot.h"

static double rate(uint64_t now, uint64_t earlier, double seconds)
{
    return seconds > 0 && now >= earlier ? (double)(now - earlier) / seconds : 0;
}

static void write_times(struct json *j, const struct histo_sum *h)
{
    static const struct {
        const char *name;
        double q;
    } rows[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};

    json_key(j, "response_time");
    json_object_begin(j);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        json_kv_double(j, rows[i].name, histo_quantile(h, rows[i].q) / 1e6);
    json_object_end(j);
}

static void write_backend(struct json *j, const struct snapshot_backend *b,
                          const struct snapshot_backend *before, double seconds)
{
    json_object_begin(j);
    json_kv_string(j, "name", b->name);
    json_kv_string(j, "endpoint", b->endpoint);
    json_kv_string(j, "status", entry_status_name(b->status));
    json_kv_string(j, "why", b->why[0] ? b->why : NULL);
    json_kv_bool(j, "backup", b->backup);
    json_kv_uint(j, "weight", b->weight);
    json_kv_uint(j, "current_connections", b->inflight);
    json_kv_uint(j, "max_connections", b->max_connections);
    json_kv_double(j, "requests_per_second",
                   before ? rate(b->requests, before->requests, seconds) : 0);
    json_kv_uint(j, "total_requests", b->requests);
    json_kv_uint(j, "failed_requests", b->failed);
    json_kv_uint(j, "responses_5xx", b->status_5xx);
    write_times(j, &b->histo);
    json_object_end(j);
}

static void write_pool(struct json *j, const struct snapshot *now, const struct snapshot *earlier,
                       const struct snapshot_pool *p)
{
    double seconds = snapshot_seconds(earlier, now);

    json_object_begin(j);
    json_kv_string(j, "name", p->name);
    json_kv_uint(j, "total_servers", p->count);
    json_kv_uint(j, "usable_servers", p->usable);
    json_kv_uint(j, "queue", p->queue);
    json_kv_uint(j, "no_backend", p->no_backend);
    json_key(j, "backends");
    json_array_begin(j);
    for (uint32_t i = p->first; i < p->first + p->count; i++)
        write_backend(j, &now->backends[i], snapshot_match(earlier, &now->backends[i], i), seconds);
    json_array_end(j);
    json_object_end(j);
}

static void write_instance(struct json *j, const struct snapshot *now, const struct table_header *h)
{
    char time[32];

    json_kv_string(j, "time", clock_format_rfc3339(now->wall_ms, time, sizeof(time)));
    json_kv_string(j, "version", h->product_version);
    json_kv_string(j, "conf", h->conf_path);
    json_kv_bool(j, "running", now->alive);
    json_kv_bool(j, "master_stopped", now->stopped);
    json_kv_uint(j, "pid", now->pid);
    json_kv_uint(j, "generation", now->generation);
    json_kv_uint(j, "workers", now->workers);
    json_kv_uint(j, "workers_ready", now->workers_ready);
    json_kv_uint(j, "worker_restarts", now->restarts);
    json_kv_string(j, "started", clock_format_rfc3339(now->started_wall_ms, time, sizeof(time)));
    json_kv_uint(j, "active_connections", now->clients);
    json_kv_uint(j, "max_connections", now->max_connections);
}

static void write_processes(struct json *j, const struct snapshot *now)
{
    json_key(j, "processes");
    json_array_begin(j);
    for (uint32_t i = 0; i < now->process_count; i++) {
        const struct snapshot_process *p = &now->processes[i];
        json_object_begin(j);
        json_kv_string(j, "name", p->title);
        json_kv_uint(j, "pid", p->pid);
        json_kv_string(j, "state", slot_state_name(p->state));
        json_kv_uint(j, "connections", p->clients);
        json_kv_uint(j, "total_requests", p->requests);
        json_kv_uint(j, "restarts", p->restarts);
        json_kv_double(j, "heartbeat_age_seconds", (double)p->still_ms / 1e3);
        json_object_end(j);
    }
    json_array_end(j);
}

void top_write_json(FILE *out, const struct snapshot *now, const struct snapshot *earlier,
                    const struct table_header *h)
{
    double seconds = snapshot_seconds(earlier, now);
    struct json j;

    json_init(&j);
    json_object_begin(&j);
    write_instance(&j, now, h);
    json_kv_double(&j, "requests_per_second",
                   earlier ? rate(now->requests, earlier->requests, seconds) : 0);
    json_kv_uint(&j, "total_requests", now->requests);
    json_kv_uint(&j, "failed_requests", now->failed);
    json_kv_uint(&j, "aborted_requests", now->aborted);
    json_kv_uint(&j, "responses_5xx", now->status_5xx);
    json_kv_uint(&j, "bytes_in", now->bytes_in);
    json_kv_uint(&j, "bytes_out", now->bytes_out);
    write_times(&j, &now->histo);
    json_key(&j, "pools");
    json_array_begin(&j);
    for (uint32_t i = 0; i < now->pool_count; i++)
        write_pool(&j, now, earlier, &now->pools[i]);
    json_array_end(&j);
    write_processes(&j, now);
    json_object_end(&j);
    fputs(json_finish(&j, NULL), out);
    fputc('\n', out);
    json_free(&j);
}
