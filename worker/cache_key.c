/* worker/cache_key.c: what a response is found by: its key, and the request fields that it varies
 * by (RFC 9111 2, 4.1). */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/hash.h"
#include "conf/auth.h"
#include "conf/route.h"
#include "worker/cache_int.h"
#include "worker/edits.h"
#include "worker/peer.h"
#include "worker/vars.h"

/* What the request says in the fields that matter; one at a time. */
static char values[BUF_LARGE_BYTES];

/* ---- the key ---- */

static void add(struct buf *out, const char *bytes, size_t len)
{
    buf_append(out, bytes, len);
}

/* Host names in any case are the same; so is the scheme's own port, said or not. */
static void add_authority(struct buf *out, const struct http1_head *h, const char *base,
                          const char *scheme)
{
    const char *port = strcmp(scheme, "https") == 0 ? ":443" : ":80";
    uint32_t len = h->authority.len, own = (uint32_t)strlen(port);
    const char *text = base + h->authority.off;
    if (len > own && memcmp(text + len - own, port, own) == 0)
        len -= own;
    for (uint32_t i = 0; i < len; i++) {
        char c = (char)tolower((unsigned char)text[i]);
        add(out, &c, 1);
    }
}

/* A query, if only an empty one; the backend gets none for that in absolute-form. */
static bool has_query(const struct http1_head *h, const char *base)
{
    uint32_t end = h->path.off + h->path.len;
    return h->query.len ||
           (!h->absolute_form && end < h->target.off + h->target.len && base[end] == '?');
}

static void add_target(struct buf *out, const struct http1_head *h, const char *base)
{
    if (h->path.len)
        add(out, base + h->path.off, h->path.len);
    else
        add(out, "/", 1);
    if (has_query(h, base)) {
        add(out, "?", 1);
        add(out, base + h->query.off, h->query.len);
    }
}

/* Fields that a route or a listener sets: another one may have the same address and pool. */
static void add_edits(struct buf *out, const struct conf_edits *e, struct hash_key key)
{
    char text[24];
    uint64_t sum = e->drop_ids;
    for (uint32_t i = 0; i < e->drop_count; i++)
        sum = hash_mix64(sum ^ hash_bytes(key, e->drops[i].name, e->drops[i].len));
    for (uint32_t i = 0; i < e->block.count; i++) {
        const struct template_part *p = &e->block.parts[i];
        uint64_t part = p->kind == TEMPLATE_TEXT ? hash_bytes(key, p->text, p->len) : p->capture;
        sum = hash_mix64(sum ^ part) + p->kind;
    }
    add(out, text, (size_t)snprintf(text, sizeof text, " #%016llx", (unsigned long long)sum));
}

/* The host that backends are told by X-Forwarded-Host: from a trusted proxy it may be another. */
static const struct http1_header *other_host(const struct txn *t, const struct http1_head *h)
{
    bool trusted = t->listener->trusted_count && peer_trusted(&t->conn->peer, t->listener);
    return trusted ? http1_find(h, HTTP1_H_X_FORWARDED_HOST) : NULL;
}

static void add_more(struct txn *t, struct buf *out, const struct http1_header *host,
                     const char *base)
{
    if (t->target) {
        add(out, " ", 1);
        add(out, buf_at(t->target), buf_len(t->target));
    }
    if (t->route->request_edits)
        add_edits(out, t->route->request_edits, t->worker->table->header->key);
    if (host) {
        add(out, " @", 2);
        add(out, base + host->value.off, host->value.len);
    }
}

bool cache_key_write(struct txn_cache *tc, const struct http1_head *h, const char *base)
{
    struct txn *t = tc->t;
    struct worker *w = t->worker;
    const char *pool = t->pool->conf->name, *scheme = vars_scheme(t, h, base);
    const struct http1_header *host = other_host(t, h);
    uint32_t more = (t->target ? buf_len(t->target) : 0) + (host ? host->value.len : 0) + 24;
    uint32_t most = NAME_MAX_BYTES + 16 + h->authority.len + h->target.len + more + 8;
    if (!buf_reserve(&w->bufs, &tc->text, most))
        return false;
    add(tc->text, pool, strlen(pool));
    add(tc->text, " ", 1);
    add(tc->text, scheme, strlen(scheme));
    add(tc->text, "://", 3);
    add_authority(tc->text, h, base, scheme);
    add_target(tc->text, h, base);
    uint32_t from = (uint32_t)strlen(pool), to = buf_len(tc->text);
    tc->address = hash_bytes(w->table->header->key, tc->text->data + from, to - from);
    add_more(t, tc->text, host, base);
    tc->key_len = buf_len(tc->text);
    tc->base = tc->hash = hash_bytes(w->table->header->key, tc->text->data, tc->key_len);
    return true;
}

struct cache_key cache_key_of(const struct txn_cache *tc)
{
    return (struct cache_key){.hash = tc->base,
                              .address = tc->address,
                              .text = tc->text->data,
                              .len = tc->key_len,
                              .vary = ""};
}

/* ---- variants ---- */

/* All values of one field in one line, a comma between two; one that Connection names does not
 * reach the backend. 0: there is no room. */
static uint32_t write_values(const struct http1_head *h, const char *base, const char *name,
                             size_t len, uint32_t at)
{
    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        if (f->hop || f->name.len != len || strncasecmp(base + f->name.off, name, len) != 0)
            continue;
        if (at + f->value.len + 2 > sizeof values)
            return 0;
        values[at++] = ',';
        memcpy(values + at, base + f->value.off, f->value.len);
        at += f->value.len;
    }
    values[at++] = '\n';
    return at;
}

/* names: "accept,origin". */
static bool make_variant(const struct txn_cache *tc, const char *names, uint32_t len, uint32_t salt,
                         struct cache_key *k)
{
    const char *base;
    const struct http1_head *h = cache_client_head(tc, &base);
    uint32_t at = 0;
    if (!h)
        return false;
    for (uint32_t i = 0; i < len;) {
        const char *comma = memchr(names + i, ',', len - i);
        uint32_t n = comma ? (uint32_t)(comma - names) - i : len - i;
        at = at < sizeof values - 1 ? write_values(h, base, names + i, n, at) : 0;
        if (at == 0)
            return false;
        i += n + 1;
    }
    *k = cache_key_of(tc);
    k->vary = values;
    k->vary_len = at;
    k->hash = hash_bytes(tc->t->worker->table->header->key, values, at);
    k->hash ^= hash_mix64(tc->base + salt);
    return true;
}

/* The pinned one says by which fields its responses vary. */
static uint32_t read_names(const struct txn_cache *tc, char names[CACHE_NAMES_MAX])
{
    const struct table *t = tc->t->worker->table;
    struct cache_ref r = tc->ref;
    uint32_t len = cache_about(t, &r)->head_bytes;
    return len <= CACHE_NAMES_MAX ? cache_read(t, &r, names, len) : 0;
}

bool cache_key_find(struct txn_cache *tc, const struct http1_head *h UNUSED,
                    const char *base UNUSED)
{
    struct worker *w = tc->t->worker;
    struct cache_key k = cache_key_of(tc);
    char names[CACHE_NAMES_MAX];
    tc->hash = tc->base;
    if (!cache_find(w->table, w->slot, &k, &tc->ref))
        return false;
    if (cache_about(w->table, &tc->ref)->kind != CACHE_VARIES)
        return true;
    uint32_t len = read_names(tc, names), salt = tc->ref.version;
    cache_touch(w->table, &tc->ref);
    cache_unpin(w->table, w->slot, &tc->ref);
    if (!make_variant(tc, names, len, salt, &k))
        return false;
    tc->hash = k.hash;
    return cache_find(w->table, w->slot, &k, &tc->ref);
}

/* ---- what a response varies by ---- */

static bool is_name(const char *text, const char *name, size_t len)
{
    return strlen(text) == len && strncasecmp(text, name, len) == 0;
}

/* Is it one of the fields by which authentication says who the client is? */
static bool is_claimed(const struct conf_auth *a, const char *name, size_t len)
{
    for (uint32_t i = 0; i < a->jwt.claim_count; i++)
        if (is_name(a->jwt.claims[i].value, name, len))
            return true;
    for (uint32_t i = 0; i < a->request.header_count; i++)
        if (is_name(a->request.headers[i], name, len))
            return true;
    return false;
}

/* Fields that we write into requests ourselves: what the client said in them is not what the
 * backend saw. The scheme and the host are in the key. */
static bool is_ours(const struct txn *t, const char *name, size_t len)
{
    static const char *const own[] = {"x-forwarded-for", "x-real-ip",   "x-request-id",
                                      "forwarded",       "traceparent", "via"};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (is_name(own[i], name, len))
            return true;
    if (len > 14 && strncasecmp(name, "x-client-cert-", 14) == 0)
        return true;
    if (t->route->guard && is_claimed(t->route->guard, name, len))
        return true;
    const struct conf_edits *e = t->route->request_edits;
    return e && !template_is_text(&e->block) && edits_drop_name(e, name, len);
}

static bool all_theirs(const struct txn *t, const char *names, uint32_t len)
{
    for (uint32_t i = 0; i < len;) {
        const char *comma = memchr(names + i, ',', len - i);
        uint32_t n = comma ? (uint32_t)(comma - names) - i : len - i;
        if (is_ours(t, names + i, n))
            return false;
        i += n + 1;
    }
    return true;
}

/* The object that leads from the key to its variants: there with these names, or made. Its version
 * goes into their hashes: variants of one that was invalidated are never found again. */
static bool find_marker(const struct txn_cache *tc, const char *names, uint32_t len, uint32_t *salt)
{
    struct worker *w = tc->t->worker;
    struct cache_key k = cache_key_of(tc);
    struct cache_ref r;
    char there[CACHE_NAMES_MAX];
    if (!cache_find(w->table, w->slot, &k, &r))
        return false;
    const struct cache_about *a = cache_about(w->table, &r);
    *salt = r.version;
    bool same = a->kind == CACHE_VARIES && a->head_bytes == len &&
                cache_read(w->table, &r, there, len) == len && memcmp(there, names, len) == 0;
    cache_unpin(w->table, w->slot, &r);
    return same;
}

static bool make_marker(const struct txn_cache *tc, const char *names, uint32_t len, uint32_t *salt)
{
    struct worker *w = tc->t->worker;
    struct cache_fill f;
    if (!cache_fill_begin(w->table, w->slot, &f))
        return false;
    if (!cache_fill_write(w->table, w->slot, &f, tc->text->data, tc->key_len) ||
        !cache_fill_write(w->table, w->slot, &f, names, len)) {
        cache_fill_abort(w->table, &f);
        return false;
    }
    *salt = f.version;
    cache_fill_publish(w->table, w->slot, &f,
                       &(struct cache_about){.hash = tc->base,
                                             .made_us = w->now_us,
                                             .key_bytes = tc->key_len,
                                             .head_bytes = len,
                                             .epoch = tc->guard.epoch,
                                             .address = tc->address,
                                             .kind = CACHE_VARIES});
    return true;
}

bool cache_key_vary(struct txn_cache *tc, const char *names, uint32_t len, struct cache_key *k)
{
    uint32_t salt;
    if (len > CACHE_NAMES_MAX || !all_theirs(tc->t, names, len))
        return false;
    if (!find_marker(tc, names, len, &salt) && !make_marker(tc, names, len, &salt))
        return false;
    if (!make_variant(tc, names, len, salt, k))
        return false;
    tc->hash = k->hash;
    return true;
}
