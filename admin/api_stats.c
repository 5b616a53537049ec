#include "admin/api.h"

#include <stdlib.h>
#include "admin/query.h"
#include "admin/rate.h"
#include "admin/view.h"
#include "shm/slot.h"

/* Sum over all live listeners. */
static void load_totals(struct view_lcell *total, const struct table *t)
{
    uint32_t count;
    uint32_t *rows = view_listeners(t, &count);
    view_lcell_clear(total);
    for (uint32_t i = 0; rows && i < count; i++) {
        struct view_lcell one;
        view_lcell_load(&one, t, rows[i]);
        view_lcell_add(total, &one);
    }
    free(rows);
}

/* Requests are finished well, failed, given up by the client, or still going on. */
static void write_requests(struct json *j, const struct view_lcell *total)
{
    uint64_t ended_badly = total->failed + total->aborted;
    uint64_t good = total->finished > ended_badly ? total->finished - ended_badly : 0;
    uint64_t judged = good + total->failed;
    json_kv_uint(j, "total_requests", total->requests);
    json_kv_uint(j, "successful_requests", good);
    json_kv_uint(j, "failed_requests", total->failed);
    json_kv_uint(j, "aborted_requests", total->aborted);
    json_kv_double(j, "success_rate", judged ? (double)good / (double)judged : 1);
}

static void write_codes(struct json *j, const struct view_lcell *total)
{
    json_key(j, "responses");
    json_object_begin(j);
    json_kv_uint(j, "1xx", total->status_1xx);
    json_kv_uint(j, "2xx", total->status_2xx);
    json_kv_uint(j, "3xx", total->status_3xx);
    json_kv_uint(j, "4xx", total->status_4xx);
    json_kv_uint(j, "5xx", total->status_5xx);
    json_object_end(j);
}

static void write_totals(struct json *j, const struct api *a)
{
    struct view_lcell total;
    load_totals(&total, a->table);
    write_requests(j, &total);
    write_codes(j, &total);
    json_kv_uint(j, "active_connections", slot_clients(a->table));
    json_kv_uint(j, "total_connections", total.accepted);
    json_kv_uint(j, "bytes_in", total.bytes_in);
    json_kv_uint(j, "bytes_out", total.bytes_out);
    json_kv_double(j, "average_response_time", view_mean_seconds(total.request_us, total.finished));
    view_quantiles(j, "response_time", &total.histo);
    json_kv_double(j, "requests_per_second", rate_total(a->rate));
}

static void write_servers(struct json *j, const struct api *a, const struct query_part *part)
{
    struct view_census census;
    view_census_take(&census, a->table, INDEX_NONE);
    json_kv_uint(j, "total_servers", census.total);
    json_kv_uint(j, "healthy_servers", census.by_status[STATUS_HEALTHY]);
    json_kv_uint(j, "usable_servers", census.usable);
    json_key(j, "server_details");
    uint32_t matching = api_backends_write_part(j, a, part);
    json_kv_uint(j, "matching_servers", matching);
}

void api_stats(struct api *a, const struct request *q, struct response *r)
{
    struct query_part part;
    if (!query_part_read(a, q, &part, r))
        return;
    struct json *j = response_json(r, 200);
    json_object_begin(j);
    write_totals(j, a);
    write_servers(j, a, &part);
    json_key(j, "rate_limits");
    api_rates_write(j, a);
    json_key(j, "cache");
    json_object_begin(j);
    api_cache_write_counts(j, a->table);
    json_object_end(j);
    json_key(j, "workers");
    api_rows_workers_write(j, a->table);
    json_object_end(j);
}
