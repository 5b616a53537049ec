/* The response cache: what is kept, and away with it. */
#include "admin/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "admin/body.h"
#include "admin/view.h"
#include "base/clock.h"
#include "shm/cache.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     1000

/* Which ones are meant; "": any. */
struct choice {
    char pool[NAME_MAX_BYTES];
    char url[CACHE_KEY_SHOWN], prefix[CACHE_KEY_SHOWN];
    bool all;
};

/* ---- choosing ---- */

/* A key is "pool url", and where the backend is asked for another target, that behind a blank. */
struct parts {
    const char *pool, *url;
    uint32_t pool_len, url_len;
};

static struct parts split(const char *key, uint32_t len)
{
    const char *blank = memchr(key, ' ', len);
    if (!blank)
        return (struct parts){key, key + len, len, 0};
    const char *url = blank + 1;
    uint32_t left = len - (uint32_t)(url - key);
    const char *end = memchr(url, ' ', left);
    return (struct parts){key, url, (uint32_t)(blank - key), end ? (uint32_t)(end - url) : left};
}

/* What begins with a slash is meant on every host. */
static struct parts from_path(struct parts p, const char *wanted)
{
    const char *host = *wanted == '/' ? memmem(p.url, p.url_len, "://", 3) : NULL;
    const char *path = host ? memchr(host + 3, '/', p.url_len - (size_t)(host + 3 - p.url)) : NULL;
    if (path) {
        p.url_len -= (uint32_t)(path - p.url);
        p.url = path;
    }
    return p;
}

static bool is_meant(void *arg, const char *key, uint32_t len)
{
    const struct choice *c = arg;
    struct parts p = split(key, len);
    if (*c->pool && (strlen(c->pool) != p.pool_len || memcmp(c->pool, p.pool, p.pool_len) != 0))
        return false;
    p = from_path(p, *c->url ? c->url : c->prefix);
    if (*c->url)
        return strlen(c->url) == p.url_len && memcmp(c->url, p.url, p.url_len) == 0;
    size_t prefix = strlen(c->prefix);
    return prefix <= p.url_len && memcmp(c->prefix, p.url, prefix) == 0;
}

/* ---- looking ---- */

static void write_object(struct json *j, const struct cache_view *v, uint64_t now_us)
{
    struct parts p = split(v->key, (uint32_t)strlen(v->key));
    int64_t age_us = (int64_t)now_us - v->about.born_us;
    double age = age_us > 0 ? (double)age_us / 1e6 : 0;
    json_object_begin(j);
    json_key(j, "pool");
    json_string_n(j, p.pool, p.pool_len);
    json_key(j, "url");
    json_string_n(j, p.url, p.url_len);
    json_kv_uint(j, "status", v->about.status);
    json_kv_uint(j, "body_bytes", v->about.body_bytes);
    json_kv_uint(j, "bytes", (uint64_t)v->blocks * CACHE_BLOCK_BYTES);
    json_kv_bool(j, "varies", v->about.vary_bytes > 0);
    json_kv_double(j, "age_seconds", age);
    json_kv_double(j, "fresh_seconds", (double)v->about.fresh_s - age);
    json_kv_uint(j, "hits", v->hits);
    json_object_end(j);
}

static void write_objects(struct json *j, const struct api *a, struct choice *c, int64_t limit)
{
    static struct cache_view v;
    uint64_t now_us = clock_mono_us();
    uint32_t blocks = word_get(&a->table->header->cache_reserved);
    json_key(j, "entries");
    json_array_begin(j);
    for (uint32_t b = 0; b < blocks && limit > 0; b++) {
        if (!cache_look(a->table, a->slot, b, &v) || v.about.kind != CACHE_RESPONSE ||
            !is_meant(c, v.key, (uint32_t)strlen(v.key)))
            continue;
        write_object(j, &v, now_us);
        limit--;
    }
    json_array_end(j);
}

static uint64_t sum_pools(const struct table *t, size_t offset)
{
    uint64_t sum = 0;
    uint32_t high = word_get(&t->header->pools_high);
    for (uint32_t i = 0; i < high; i++)
        sum += count_pcell_sum(t, i, offset);
    return sum;
}

void api_cache_write_counts(struct json *j, const struct table *t)
{
    struct cache_usage u;
    cache_usage(t, &u);
    json_kv_uint(j, "size_bytes", (uint64_t)u.blocks * CACHE_BLOCK_BYTES);
    json_kv_uint(j, "used_bytes", (uint64_t)u.blocks_used * CACHE_BLOCK_BYTES);
    json_kv_uint(j, "objects", u.objects);
    json_kv_uint(j, "hits", sum_pools(t, offsetof(struct pcell, cache_hits)));
    json_kv_uint(j, "misses", sum_pools(t, offsetof(struct pcell, cache_misses)));
    json_kv_uint(j, "stale", sum_pools(t, offsetof(struct pcell, cache_stale)));
    json_kv_uint(j, "revalidated", sum_pools(t, offsetof(struct pcell, cache_revalidated)));
    json_kv_uint(j, "bypassed", sum_pools(t, offsetof(struct pcell, cache_bypassed)));
#define X(name, help) json_kv_uint(j, #name, cache_cell_sum(t, offsetof(struct ccell, name)));
    CCELL_COUNTERS(X)
#undef X
}

static bool read_choice(const struct request *q, struct choice *c, struct response *r)
{
    memset(c, 0, sizeof *c);
    if (request_query(q, "pool", c->pool, sizeof c->pool) >= 0 &&
        request_query(q, "url", c->url, sizeof c->url) >= 0 &&
        request_query(q, "prefix", c->prefix, sizeof c->prefix) >= 0)
        return true;
    response_problem(r, 400, "bad-request", "pool, url or prefix is malformed or too long");
    return false;
}

void api_cache(struct api *a, const struct request *q, struct response *r)
{
    static struct choice c;
    int64_t limit = LIMIT_DEFAULT;
    if (!read_choice(q, &c, r))
        return;
    if (request_query_int(q, "limit", &limit) < 0 || limit < 0 || limit > LIMIT_MAX) {
        response_problem(r, 400, "bad-request", "limit must be a whole number from 0 to %d",
                         LIMIT_MAX);
        return;
    }
    struct json *j = response_json(r, 200);
    json_object_begin(j);
    api_cache_write_counts(j, a->table);
    write_objects(j, a, &c, limit);
    json_object_end(j);
}

/* ---- removing ---- */

/* Exactly one way to say which. */
static bool is_clear(const struct choice *c, struct response *r)
{
    if ((*c->url != 0) + (*c->prefix != 0) + c->all == 1)
        return true;
    response_problem(r, 422, "bad-request",
                     "say which: one of url=http://host/path, prefix=http://host/dir/ (or both "
                     "from the path on: prefix=/dir/), and all");
    return false;
}

static void purge(struct api *a, const struct request *q, struct response *r, struct choice *c)
{
    if (!is_clear(c, r))
        return;
    uint32_t count = cache_purge(a->table, a->slot, is_meant, c);
    char object[80];
    snprintf(object, sizeof object, "cache %.70s", c->all ? "all" : *c->url ? c->url : c->prefix);
    api_record(a, q, object, NULL, "purged", "purge");
    struct json *j = response_json(r, 200);
    json_object_begin(j);
    json_kv_uint(j, "purged", count);
    json_object_end(j);
    r->unsaved = true;
}

void api_cache_delete(struct api *a, const struct request *q, struct response *r)
{
    static struct choice c;
    char all[8] = "";
    if (!read_choice(q, &c, r))
        return;
    if (request_query(q, "all", all, sizeof all) < 0 ||
        (*all && strcmp(all, "1") != 0 && strcmp(all, "true") != 0)) {
        response_problem(r, 400, "bad-request", "all must be 1");
        return;
    }
    c.all = *all != 0;
    purge(a, q, r, &c);
}

/* One member of the body; false: it is none, or of another type. */
static bool take_member(const struct body_field *f, struct choice *c)
{
    char *to = strcmp(f->name, "pool") == 0     ? c->pool
               : strcmp(f->name, "url") == 0    ? c->url
               : strcmp(f->name, "prefix") == 0 ? c->prefix
                                                : NULL;
    size_t cap = to == c->pool ? sizeof c->pool : sizeof c->url;
    if (strcmp(f->name, "all") == 0 && f->type == BODY_BOOL) {
        c->all = f->truth;
        return true;
    }
    if (!to || f->type != BODY_STRING || strlen(f->text) >= cap)
        return false;
    memcpy(to, f->text, strlen(f->text) + 1);
    return true;
}

void api_cache_purge(struct api *a, const struct request *q, struct response *r)
{
    static struct choice c;
    struct body body;
    char why[256];
    bool good = true;
    memset(&c, 0, sizeof c);
    if (body_parse(&body, q->body, q->body_bytes, why, sizeof why) != 0) {
        response_problem(r, 400, "bad-request", "%s", why);
        return;
    }
    for (uint32_t i = 0; i < body.count && good; i++)
        good = take_member(&body.fields[i], &c);
    body_free(&body);
    if (good)
        purge(a, q, r, &c);
    else
        response_problem(r, 422, "bad-request",
                         "members are url, prefix, pool (texts), all (true)");
}
