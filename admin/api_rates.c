/* Rate limits as GET /lb/stats shows them. */
#include "admin/api.h"
#include "conf/units.h"
#include "shm/rate.h"

static void write_counts(struct json *j, const struct table *t, uint32_t row)
{
#define X(name, help) json_kv_uint(j, #name, rate_cell_sum(t, row, offsetof(struct rcell, name)));
    RCELL_COUNTERS(X)
#undef X
}

static void write_limit(struct json *j, const struct table *t, const struct conf_rate_limit *r)
{
    static const char *const names[] = {"token_bucket", "sliding_window", "leaky_bucket"};
    char period[UNITS_STRLEN];
    json_object_begin(j);
    json_kv_string(j, "name", r->owner);
    json_kv_string(j, "algorithm", names[r->algorithm]);
    json_kv_uint(j, "requests", r->rate.count);
    json_kv_string(j, "period", units_format(UNITS_DURATION, r->rate.period_ms, period));
    if (r->algorithm != RATE_SLIDING_WINDOW)
        json_kv_uint(j, "burst", r->burst);
    json_kv_string(j, "key", r->key);
    json_kv_uint(j, "entries", r->entries);
    if (r->row < RATE_MAX)
        write_counts(j, t, r->row);
    json_object_end(j);
}

void api_rates_write(struct json *j, const struct api *a)
{
    json_array_begin(j);
    for (const struct conf_rate_limit *r = a->conf->rate_limits; r; r = r->next)
        write_limit(j, a->table, r);
    json_array_end(j);
}
