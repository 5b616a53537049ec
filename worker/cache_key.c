/* worker/cache_key.c: what a response is found by: its key, and the request fields that it varies
 * by (RFC 9111 2, 4.1). */
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "base/hash.h"
#include "conf/route.h"
#include "worker/cache_int.h"
#include "worker/edits.h"
#include "worker/vars.h"

#define NAMES_MAX 512u /* bytes of names that a response varies by */

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

static void add_target(struct buf *out, const struct http1_head *h, const char *base)
{
    if (h->path.len)
        add(out, base + h->path.off, h->path.len);
    else
        add(out, "/", 1);
    if (h->query.len) {
        add(out, "?", 1);
        add(out, base + h->query.off, h->query.len);
    }
}

bool cache_key_write(struct txn_cache *tc, const struct http1_head *h, const char *base)
{
    struct txn *t = tc->t;
    struct worker *w = t->worker;
    const char *pool = t->pool->conf->name, *scheme = vars_scheme(t, h, base);
    uint32_t target = t->target ? buf_len(t->target) : 0;
    uint32_t most = NAME_MAX_BYTES + 16 + h->authority.len + h->target.len + target + 8;
    if (!buf_reserve(&w->bufs, &tc->text, most))
        return false;
    add(tc->text, pool, strlen(pool));
    add(tc->text, " ", 1);
    add(tc->text, scheme, strlen(scheme));
    add(tc->text, "://", 3);
    add_authority(tc->text, h, base, scheme);
    add_target(tc->text, h, base);
    if (target) {
        add(tc->text, " ", 1);
        add(tc->text, buf_at(t->target), target);
    }
    tc->key_len = buf_len(tc->text);
    tc->base = tc->hash = hash_bytes(w->table->header->key, tc->text->data, tc->key_len);
    return true;
}

struct cache_key cache_key_of(const struct txn_cache *tc)
{
    return (struct cache_key){
        .hash = tc->base, .text = tc->text->data, .len = tc->key_len, .vary = ""};
}

/* ---- variants ---- */

/* All values of one field in one line, a comma between two. */
static uint32_t write_values(const struct http1_head *h, const char *base, const char *name,
                             size_t len, uint32_t at)
{
    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        if (f->name.len != len || strncasecmp(base + f->name.off, name, len) != 0 ||
            at + f->value.len + 2 > sizeof values)
            continue;
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
    for (uint32_t i = 0; i < len && at < sizeof values - 1;) {
        const char *comma = memchr(names + i, ',', len - i);
        uint32_t n = comma ? (uint32_t)(comma - names) - i : len - i;
        at = write_values(h, base, names + i, n, at);
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
static uint32_t read_names(const struct txn_cache *tc, char names[NAMES_MAX])
{
    const struct table *t = tc->t->worker->table;
    struct cache_ref r = tc->ref;
    uint32_t len = cache_about(t, &r)->head_bytes;
    return len <= NAMES_MAX ? cache_read(t, &r, names, len) : 0;
}

bool cache_key_find(struct txn_cache *tc, const struct http1_head *h UNUSED,
                    const char *base UNUSED)
{
    struct worker *w = tc->t->worker;
    struct cache_key k = cache_key_of(tc);
    char names[NAMES_MAX];
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

/* Fields that we write into requests ourselves: what the client said in them is not what the
 * backend saw. The scheme and the host are in the key. */
static bool is_ours(const struct txn *t, const char *name, size_t len)
{
    static const char *const own[] = {"x-forwarded-for", "x-real-ip",   "x-request-id",
                                      "forwarded",       "traceparent", "via"};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (strlen(own[i]) == len && strncasecmp(own[i], name, len) == 0)
            return true;
    if (len > 14 && strncasecmp(name, "x-client-cert-", 14) == 0)
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
    char there[NAMES_MAX];
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
                                             .kind = CACHE_VARIES});
    return true;
}

bool cache_key_vary(struct txn_cache *tc, const char *names, uint32_t len, struct cache_key *k)
{
    uint32_t salt;
    if (len > NAMES_MAX || !all_theirs(tc->t, names, len))
        return false;
    if (!find_marker(tc, names, len, &salt) && !make_marker(tc, names, len, &salt))
        return false;
    if (!make_variant(tc, names, len, salt, k))
        return false;
    tc->hash = k->hash;
    return true;
}
