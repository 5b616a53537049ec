#include "admin/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "admin/admin.h"
#include "admin/guard.h"
#include "admin/query.h"

static const struct endpoint rows[] = {
    {REQUEST_GET, "/", false, "the dashboard", page_dashboard, NULL},
    {REQUEST_GET, "/lb", false, "this list", api_index, NULL},
    {REQUEST_GET, "/lb/health", false,
     "200 healthy or degraded, 503 unhealthy: a pool has no usable backend", api_health, NULL},
    {REQUEST_GET, "/lb/stats", false,
     "totals, latency, rates, one row per worker and per backend (these: ?pool=NAME, ?limit=N, "
     "?offset=N; limit=0: totals only)",
     api_stats, QUERY_PART},
    {REQUEST_GET, "/lb/backends", false,
     "all backends; ?pool=NAME: those of one pool; ?limit=N&offset=N: so many, from that one on. "
     "`total` says how many there are",
     api_backends_list, QUERY_PART},
    {REQUEST_POST, "/lb/backends/add", true,
     "adds a backend: {host, port, weight?, pool?, id?, max_connections?, backup?}",
     api_backends_add, NULL},
    {REQUEST_GET, "/lb/backends/{id}", false, "one backend", api_backends_get, NULL},
    {REQUEST_DELETE, "/lb/backends/{id}/remove", true,
     "takes a backend out: no new requests at once, gone when what is in flight has finished; "
     "?now=1 "
     "cuts that off",
     api_backends_remove, "now"},
    {REQUEST_POST, "/lb/backends/{id}/enable", true, "back to normal service", api_backends_enable,
     NULL},
    {REQUEST_POST, "/lb/backends/{id}/disable", true,
     "maintenance: no new requests, sticky sessions included; ?now=1 cuts off what is in flight",
     api_backends_disable, "now"},
    {REQUEST_POST, "/lb/backends/{id}/drain", true, "no new requests but those of sticky sessions",
     api_backends_drain, NULL},
    {REQUEST_POST, "/lb/backends/{id}/weight", true,
     "{\"weight\": n} overrides the configured weight, null takes the override away",
     api_backends_weight, NULL},
    {REQUEST_DELETE, "/lb/backends/{id}/overrides", true,
     "back to the configuration file: weight and mode as it says", api_backends_revert, NULL},
    {REQUEST_GET, "/lb/services", false, "the instances that registered themselves, by service",
     api_services_list, NULL},
    {REQUEST_GET, "/lb/services/{service}", false, "the instances of one service", api_services_get,
     NULL},
    {REQUEST_GET, "/lb/services/{service}/instances/{id}", false, "one instance",
     api_services_instance, NULL},
    {REQUEST_PUT, "/lb/services/{service}/instances/{id}", true,
     "registers an instance in the pool of that name, and again: its heartbeat. {address, port, "
     "weight?, ttl?, health_check_url?}; without a heartbeat for ttl seconds it is removed",
     api_services_put, NULL},
    {REQUEST_DELETE, "/lb/services/{service}/instances/{id}", true, "it goes, drained",
     api_services_remove, NULL},
    {REQUEST_GET, "/lb/config", false, "effective configuration, secrets redacted", api_config,
     NULL},
    {REQUEST_POST, "/lb/reload", true,
     "reads the configuration file again: 200 {generation, changes}, or 422 with its errors",
     api_reload, NULL},
    {REQUEST_GET, "/lb/reloads", false,
     "the last reloads, newest first: time, result, generation, changes or errors", api_reloads,
     NULL},
    {REQUEST_POST, "/lb/upgrade", true,
     "executes the program anew in place, as `ballast upgrade`; only where a token is set. 202: "
     "the "
     "outcome is in the events",
     api_upgrade, NULL},
    {REQUEST_GET, "/lb/events", false,
     "transitions, admin actions, reloads: ?since=SEQ (negative: the last so many), ?limit=N, "
     "?wait=5s waits for news",
     api_events, "since limit wait"},
    {REQUEST_GET, "/lb/cache", false,
     "what the response cache holds, and counts: ?prefix=http://host/dir/ (or /dir/, on any host), "
     "?url=, ?pool=, ?limit=N (100; 0: counts only)",
     api_cache, "prefix url pool limit"},
    {REQUEST_DELETE, "/lb/cache", true,
     "removes what it holds: one of ?url=, ?prefix= and ?all=1, and ?pool=; 200 {purged}. What is "
     "being fetched meanwhile is not kept",
     api_cache_delete, "url prefix all pool"},
    {REQUEST_POST, "/lb/cache/purge", true,
     "the same with a body: {url | prefix | all: true, pool?}", api_cache_purge, NULL},
    {REQUEST_GET, "/lb/pools", false,
     "pools with their members' state; ?pool=, ?limit=, ?offset= as for backends", api_pools,
     QUERY_PART},
    {REQUEST_GET, "/lb/listeners", false, "listeners with their traffic", api_listeners, NULL},
    {REQUEST_GET, "/lb/leases", false,
     "programs with the client library that have a lease, and what they have in flight by it",
     api_leases, NULL},
    {REQUEST_GET, "/lb/workers", false, "worker and service processes", api_workers, NULL},
    {REQUEST_GET, "/metrics", false, "Prometheus text, or OpenMetrics when asked for by Accept",
     api_metrics, NULL},
    {REQUEST_GET, "/health", false, "200 while this process answers", probes_health, NULL},
    {REQUEST_GET, "/health/live", false, "200 while this process answers", probes_live, NULL},
    {REQUEST_GET, "/health/ready", false,
     "200 ready to serve, or 503 with the check that says why not", probes_ready, NULL},
    {REQUEST_GET, "/health/detailed", false,
     "every check, memory and disks included: healthy or degraded", probes_detailed, NULL},
};

const struct endpoint *endpoint_rows(size_t *count)
{
    *count = ARRAY_LEN(rows);
    return rows;
}

/* A pattern with {id} gives way to one without. */
enum match { MATCH_NO, MATCH_PATTERN, MATCH_LITERAL };

struct part { /* of the path, as sent */
    const char *text;
    size_t len;
};
struct parts {
    struct part id, service;
};

static enum match match_path(const char *pattern, const char *path, struct parts *parts)
{
    enum match match = MATCH_LITERAL;
    while (*pattern) {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return MATCH_NO;
            continue;
        }
        struct part part = {path, strcspn(path, "/")};
        if (part.len == 0)
            return MATCH_NO;
        *(strncmp(pattern, "{service}", 9) == 0 ? &parts->service : &parts->id) = part;
        match = MATCH_PATTERN;
        path += part.len;
        pattern += strcspn(pattern, "}") + 1;
    }
    return *path ? MATCH_NO : match;
}

struct found {
    const struct endpoint *row; /* of this path and method */
    enum match match;           /* of this path with any method */
    unsigned allowed;
    struct parts parts;
};

static void find_row(const struct request *q, struct found *f)
{
    memset(f, 0, sizeof(*f));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct parts parts = {{"", 0}, {"", 0}};
        enum match match = match_path(rows[i].path, q->path, &parts);
        if (match == MATCH_NO || match < f->match)
            continue;
        if (match > f->match)
            *f = (struct found){.match = match};
        f->allowed |= rows[i].method;
        if (rows[i].method == q->method) {
            f->row = &rows[i];
            f->parts = parts;
        }
    }
}

static void refuse_path(const struct request *q, struct response *r)
{
    char detail[256];
    snprintf(detail, sizeof(detail), "there is nothing at %.160s; the endpoints are listed here",
             q->path);
    struct json *j = response_problem_open(r, 404, "no-such-path", detail);
    json_key(j, "endpoints");
    endpoint_list(j);
    json_object_end(j);
}

static void refuse_method(unsigned allowed, struct response *r)
{
    char list[64] = "";
    for (unsigned bit = REQUEST_GET; bit < REQUEST_OTHER; bit <<= 1)
        if (allowed & bit) {
            size_t len = strlen(list);
            snprintf(list + len, sizeof(list) - len, "%s%s%s", len ? ", " : "",
                     request_method_name(bit), bit == REQUEST_GET ? ", HEAD" : "");
        }
    response_problem(r, 405, "wrong-method", "this path takes %s", list);
    response_header(r, "Allow", "%s", list);
}

const struct endpoint *endpoint_find(const struct api *a, struct request *q, struct response *r)
{
    struct found f;
    if (!guard_host(q, r))
        return NULL;
    find_row(q, &f);
    if (f.match == MATCH_NO) {
        refuse_path(q, r);
        return NULL;
    }
    if (!f.row) {
        refuse_method(f.allowed, r);
        return NULL;
    }
    if (f.row->mutates && (!guard_origin(q, r) || !guard_token(a->conf->admin.token, q, r)))
        return NULL;
    if (request_decode(f.parts.id.text, f.parts.id.len, q->id, sizeof(q->id)) != 0 ||
        request_decode(f.parts.service.text, f.parts.service.len, q->service, sizeof(q->service)) !=
            0) {
        response_problem(r, 400, "bad-request",
                         "the id in the path is not validly percent-encoded");
        return NULL;
    }
    /* Probes, metrics and the page are asked by others' programs, which add what they like. */
    if (strncmp(f.row->path, "/lb", 3) == 0 && !query_check(q, f.row->query, r))
        return NULL;
    return f.row;
}

void endpoint_answer(struct api *a, struct request *q, struct response *r)
{
    const struct endpoint *row = endpoint_find(a, q, r);
    if (!row)
        return;
    row->handler(a, q, r);
    if (row->mutates && r->status < 300 && r->wait == RESPONSE_NOW && !r->unsaved && a->changed)
        a->changed(a->changed_arg);
}

void endpoint_list(struct json *j)
{
    json_array_begin(j);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        json_object_begin(j);
        json_kv_string(j, "method", request_method_name(rows[i].method));
        json_kv_string(j, "path", rows[i].path);
        json_kv_bool(j, "mutates", rows[i].mutates);
        json_kv_string(j, "help", rows[i].help);
        json_object_end(j);
    }
    json_array_end(j);
}

char *admin_endpoints_markdown(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    fputs("| method and path | changes something | what it does |\n| --- | --- | --- |\n", out);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        fprintf(out, "| `%s %s` | %s | %s |\n", request_method_name(rows[i].method), rows[i].path,
                rows[i].mutates ? "yes" : "no", rows[i].help);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
