/*
 * admin/api_services.c: instances that register themselves in a pool, and say again and again that
 * they are there: PUT /lb/services/{service}/instances/{id}. A service is a pool.
 */
#include "admin/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "admin/body.h"
#include "admin/view.h"
#include "base/clock.h"
#include "shm/lease.h"

#define WEIGHT_MAX          256
#define TTL_MAX_S           86400
#define DEFAULT_CONNECTIONS 1000

struct instance {
    const char *address, *url; /* owned by the body; NULL: not given */
    uint32_t port, weight, ttl_s;
    /* found out */
    uint32_t pool;
    struct net_addr addr;
    char endpoint[NET_ADDR_STRLEN];
    struct entry_check check;
};

/* ---- reading the body ---- */

static bool take_number(const struct body_field *v, int64_t low, int64_t high, uint32_t *out)
{
    if (v->type != BODY_INTEGER || v->integer < low || v->integer > high)
        return false;
    *out = (uint32_t)v->integer;
    return true;
}

/* NULL, or what is wrong with a member of the body. */
static const char *read_field(struct instance *in, const struct body_field *v)
{
    if (strcmp(v->name, "address") == 0) {
        in->address = v->text;
        return *v->text ? NULL : "must be an IP address";
    }
    if (strcmp(v->name, "port") == 0)
        return take_number(v, 1, 65535, &in->port) ? NULL
                                                   : "must be a whole number from 1 to 65535";
    if (strcmp(v->name, "weight") == 0)
        return take_number(v, 0, WEIGHT_MAX, &in->weight) ? NULL
                                                          : "must be a whole number from 0 to 256";
    if (strcmp(v->name, "ttl") == 0)
        return take_number(v, 1, TTL_MAX_S, &in->ttl_s)
                   ? NULL
                   : "must be a whole number of seconds from 1 to 86400";
    if (strcmp(v->name, "health_check_url") == 0) {
        in->url = v->text;
        return *v->text ? NULL : "must be a path, or a URL of the instance itself";
    }
    return "is not a field of an instance";
}

/* "/path" or "http://ADDRESS:PORT/path" of the same address. */
static const char *read_url(struct instance *in)
{
    static const char wrong[] = "must be a path, or a URL of the instance itself";
    const char *at = in->url;
    char host[NET_ADDR_STRLEN], why[128];
    struct net_addr asked, own = in->addr;
    in->check.tls = strncmp(at, "https://", 8) == 0;
    if (*at != '/') {
        if (!in->check.tls && strncmp(at, "http://", 7) != 0)
            return wrong;
        at += in->check.tls ? 8 : 7;
        size_t len = strcspn(at, "/?#");
        bool has_port = len > 0 && at[len - 1] != ']' && memchr(at, ':', len) != NULL;
        snprintf(host, sizeof(host),
                 has_port        ? "%.*s"
                 : in->check.tls ? "%.*s:443"
                                 : "%.*s:80",
                 (int)len, at);
        if (net_addr_parse(host, &asked, why, sizeof(why)) == -1)
            return wrong;
        in->check.port = net_addr_port(&asked);
        asked.u.in.sin_port = own.u.in.sin_port = 0; /* the same place in an IPv6 address */
        if (!net_addr_equal(&asked, &own))
            return wrong;
        at += len;
    }
    for (const char *c = at; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '#')
            return wrong;
    if ((*at != '/' && *at != '\0') || strlen(at) >= sizeof(in->check.path))
        return wrong;
    snprintf(in->check.path, sizeof(in->check.path), "%s", *at ? at : "/");
    return NULL;
}

static const char *read_address(struct instance *in)
{
    char why[128];
    bool v6 = strchr(in->address, ':') != NULL && in->address[0] != '[';
    snprintf(in->endpoint, sizeof(in->endpoint), v6 ? "[%.64s]:%u" : "%.64s:%u", in->address,
             in->port);
    if (net_addr_parse(in->endpoint, &in->addr, why, sizeof(why)) == -1 ||
        in->addr.u.sa.sa_family == AF_UNIX || net_addr_is_wildcard(&in->addr))
        return "must be an IP address";
    net_addr_format(&in->addr, in->endpoint, sizeof(in->endpoint));
    return NULL;
}

static bool refuse(struct response *r, const char *field, const char *text)
{
    response_problem(r, 400, "bad-request", "%s %s", field, text);
    return false;
}

static bool understand(struct instance *in, const struct body *body, struct response *r)
{
    for (uint32_t i = 0; i < body->count; i++) {
        const char *wrong = read_field(in, &body->fields[i]);
        if (wrong)
            return refuse(r, body->fields[i].name, wrong);
    }
    if (!in->address)
        return refuse(r, "address", "is missing");
    if (!in->port)
        return refuse(r, "port", "is missing");
    const char *wrong = read_address(in);
    if (wrong)
        return refuse(r, "address", wrong);
    wrong = in->url ? read_url(in) : NULL;
    return wrong ? refuse(r, "health_check_url", wrong) : true;
}

/* ---- what is meant by the path ---- */

static uint32_t pool_of(const struct api *a, const struct request *q, struct response *r)
{
    uint32_t pool = pool_find(a->table, q->service);
    if (pool == INDEX_NONE)
        response_problem(r, 404, "no-such-object", "there is no service %.64s: a service is a pool",
                         q->service);
    return pool;
}

static bool valid_id(const char *id, struct response *r)
{
    bool valid = *id && strlen(id) < NAME_MAX_BYTES;
    for (const char *c = id; *c; c++)
        valid = valid && *c > ' ' && *c <= '~' && !strchr("\"\\?#%&/", *c);
    if (!valid)
        response_problem(r, 400, "bad-request",
                         "an id is 1 to 63 visible ASCII characters but \" \\ ? # %% & /");
    return valid;
}

/* Lock held. The instance of this id; INDEX_NONE: there is none, or it is a backend of another kind
 * (then r holds a 409). */
static uint32_t find(const struct api *a, const struct request *q, uint32_t pool,
                     struct response *r)
{
    uint32_t entry = entry_find(a->table, pool, q->id);
    if (entry == INDEX_NONE || lease_is_registered(entry_at(a->table, entry)))
        return entry;
    response_problem(r, 409, "exists", "%.64s:%.64s is a backend that did not register itself",
                     q->service, q->id);
    return INDEX_NONE;
}

/* ---- writing ---- */

static void write_instance(struct json *j, const struct table *t, uint32_t entry)
{
    const struct entry *e = entry_at(t, entry);
    uint64_t left_us = lease_left_us(e, clock_mono_us());
    char host[NET_ADDR_STRLEN];
    json_object_begin(j);
    json_kv_string(j, "id", e->name);
    json_kv_string(j, "service", pool_at(t, word_get(&e->pool))->name);
    json_kv_string(j, "address", net_addr_format_host(&e->addr, host, sizeof(host)));
    json_kv_uint(j, "port", net_addr_port(&e->addr));
    json_kv_uint(j, "weight", entry_weight(e));
    json_kv_string(j, "status", entry_status_name(entry_status(e)));
    json_key(j, "ttl");
    if (left_us == UINT64_MAX)
        json_null(j);
    else
        json_uint(j, word_get(&e->lease_ttl_ms) / 1000);
    json_key(j, "expires_in");
    if (left_us == UINT64_MAX)
        json_null(j);
    else
        json_double(j, (double)left_us / 1e6);
    json_object_end(j);
}

static void write_service(struct json *j, const struct table *t, uint32_t pool)
{
    uint32_t count;
    uint32_t *rows = view_members(t, pool, &count);
    json_object_begin(j);
    json_kv_string(j, "service", pool_at(t, pool)->name);
    json_key(j, "instances");
    json_array_begin(j);
    for (uint32_t i = 0; rows && i < count; i++)
        if (lease_is_registered(entry_at(t, rows[i])))
            write_instance(j, t, rows[i]);
    json_array_end(j);
    json_object_end(j);
    free(rows);
}

void api_services_list(struct api *a, const struct request *q, struct response *r)
{
    struct json *j = response_json(r, 200);
    uint32_t count;
    uint32_t *pools = view_pools(a->table, &count);
    (void)q;
    json_object_begin(j);
    json_key(j, "services");
    json_array_begin(j);
    for (uint32_t i = 0; pools && i < count; i++)
        write_service(j, a->table, pools[i]);
    json_array_end(j);
    json_object_end(j);
    free(pools);
}

void api_services_get(struct api *a, const struct request *q, struct response *r)
{
    uint32_t pool = pool_of(a, q, r);
    if (pool != INDEX_NONE)
        write_service(response_json(r, 200), a->table, pool);
}

void api_services_instance(struct api *a, const struct request *q, struct response *r)
{
    uint32_t pool = pool_of(a, q, r);
    uint32_t entry = pool == INDEX_NONE ? INDEX_NONE : find(a, q, pool, r);
    if (entry != INDEX_NONE)
        write_instance(response_json(r, 200), a->table, entry);
    else if (pool != INDEX_NONE && r->status < 300)
        response_problem(r, 404, "no-such-object", "%.64s has no instance %.64s", q->service,
                         q->id);
}

/* ---- registering ---- */

static bool same_place(const struct entry *e, const struct instance *in)
{
    return net_addr_equal(&e->addr, &in->addr) && e->check.port == in->check.port &&
           e->check.tls == in->check.tls && strcmp(e->check.path, in->check.path) == 0;
}

static struct entry_spec spec_of(const struct instance *in, const char *id)
{
    return (struct entry_spec){.name = id,
                               .endpoint = in->endpoint,
                               .addr = in->addr,
                               .weight = in->weight,
                               .max_connections = DEFAULT_CONNECTIONS,
                               .origin = ORIGIN_DISCOVERY,
                               .check = &in->check};
}

/* Lock held. The entry of the instance, new (*state "registered"), elsewhere than before ("moved"),
 * or heard of again (NULL); INDEX_NONE with the refusal in r. */
static uint32_t put(struct api *a, const struct request *q, const struct instance *in,
                    struct response *r, const char **state)
{
    struct table *t = a->table;
    const struct entry_spec spec = spec_of(in, q->id);
    uint32_t entry = find(a, q, in->pool, r);
    *state = NULL;
    if (entry == INDEX_NONE && r->status >= 300)
        return INDEX_NONE;
    if (entry == INDEX_NONE || !same_place(entry_at(t, entry), in)) {
        *state = entry == INDEX_NONE ? "registered" : "moved";
        if (entry != INDEX_NONE)
            entry_remove(t, entry);
        entry = entry_add(t, in->pool, &spec);
    } else if (word_get(&entry_at(t, entry)->weight) != in->weight) {
        entry_configure(t, entry, &spec);
    }
    if (entry == INDEX_NONE)
        response_problem(r, 503, "table-full", "the table of backends is full");
    else
        lease_renew(entry_at(t, entry), in->ttl_s * 1000, clock_mono_us());
    return entry;
}

static void answer(struct api *a, const struct request *q, struct response *r, uint32_t entry,
                   const char *state)
{
    char id[VIEW_ID_BYTES];
    bool fresh = state && strcmp(state, "registered") == 0;
    if (state)
        api_record(a, q, view_id(a->table, entry, id), NULL, state, "register");
    write_instance(response_json(r, fresh ? 201 : 200), a->table, entry);
}

void api_services_put(struct api *a, const struct request *q, struct response *r)
{
    struct instance in = {.weight = 1};
    struct body body;
    const char *state;
    char why[256];
    r->unsaved = true;
    if (body_parse(&body, q->body, q->body_bytes, why, sizeof(why)) != 0) {
        response_problem(r, 400, "bad-request", "%s", why);
        return;
    }
    if (valid_id(q->id, r) && understand(&in, &body, r) &&
        (in.pool = pool_of(a, q, r)) != INDEX_NONE) {
        table_lock(a->table);
        uint32_t entry = put(a, q, &in, r, &state);
        table_unlock(a->table);
        if (entry != INDEX_NONE)
            answer(a, q, r, entry, state);
    }
    body_free(&body);
}

void api_services_remove(struct api *a, const struct request *q, struct response *r)
{
    char id[VIEW_ID_BYTES];
    uint32_t pool = pool_of(a, q, r);
    r->unsaved = true;
    if (pool == INDEX_NONE)
        return;
    table_lock(a->table);
    uint32_t entry = find(a, q, pool, r);
    if (entry != INDEX_NONE) {
        view_id(a->table, entry, id);
        entry_remove(a->table, entry);
    }
    table_unlock(a->table);
    if (entry == INDEX_NONE && r->status < 300)
        response_problem(r, 404, "no-such-object", "%.64s has no instance %.64s", q->service,
                         q->id);
    if (entry == INDEX_NONE)
        return;
    api_record(a, q, id, "registered", "removed", "deregister");
    struct json *j = response_json(r, 200);
    json_object_begin(j);
    json_kv_string(j, "id", q->id);
    json_kv_bool(j, "removed", true);
    json_object_end(j);
}
