/* Leases of clients (broker/): who has one, and what came of their questions. */
#include "admin/api.h"
#include "shm/grant.h"

static void write_lease(struct json *j, const struct grant_row *g)
{
    json_object_begin(j);
    if (word_get(&g->pid)) /* else it is of another pid namespace */
        json_kv_uint(j, "pid", word_get(&g->pid));
    json_kv_uint(j, "connections", word_get(&g->held));
    json_object_end(j);
}

static void write_all(struct json *j, const struct table *t, bool lent)
{
    json_key(j, "leases");
    json_array_begin(j);
    for (uint32_t row = 0; lent && row < GRANT_MAX; row++)
        if (word_get(&t->grants[row].state) == ROW_LIVE)
            write_lease(j, &t->grants[row]);
    json_array_end(j);
}

void api_leases(struct api *a, const struct request *q UNUSED, struct response *r)
{
    const struct table *t = a->table;
    uint32_t leases;
    uint64_t held;
    bool lent = grant_sum(t, &leases, &held);
    struct json *j = response_json(r, 200);
    json_object_begin(j);
    json_kv_uint(j, "total", leases);
    json_kv_uint(j, "max", word_get(&t->header->grant_max));
    json_kv_uint(j, "connections", held);
#define X(name, help) json_kv_uint(j, #name, lent ? count_get(&t->grant_totals->name) : 0);
    GRANT_COUNTERS(X)
#undef X
    write_all(j, t, lent);
    json_object_end(j);
}
