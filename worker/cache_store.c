/* worker/cache_store.c: from a response on its way to one that is kept. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/clock.h"
#include "base/http_date.h"
#include "worker/account.h"
#include "worker/cache_int.h"

#define NAMES_MAX 512u

static const struct http1_limits limits = {BUF_LARGE_BYTES, HTTP1_HEADERS_MAX};
static char text[BUF_LARGE_BYTES + 256]; /* a head on its way into the cache */

static bool is_named(const struct http1_header *f, const char *base, const char *name)
{
    size_t len = strlen(name);
    return f->name.len == len && strncasecmp(base + f->name.off, name, len) == 0;
}

/* ---- what it says ---- */

/* Vary as "accept,origin", lower case, without blanks. */
struct names {
    char text[NAMES_MAX];
    uint32_t len;
    bool any; /* "*", or too many */
};

static bool add_name(void *arg, const char *name, size_t len)
{
    struct names *n = arg;
    if ((len == 1 && *name == '*') || n->len + len + 1 > sizeof n->text) {
        n->any = true;
        return false;
    }
    if (n->len)
        n->text[n->len++] = ',';
    for (size_t i = 0; i < len; i++) {
        bool upper = name[i] >= 'A' && name[i] <= 'Z';
        n->text[n->len++] = (char)(upper ? name[i] | 0x20 : name[i]);
    }
    return true;
}

static uint32_t read_age(const char *s, size_t len)
{
    uint64_t age = 0;
    for (size_t i = 0; i < len && s[i] >= '0' && s[i] <= '9' && age < HTTP_CACHE_MOST; i++)
        age = age * 10 + (uint64_t)(s[i] - '0');
    return age < HTTP_CACHE_MOST ? (uint32_t)age : HTTP_CACHE_MOST;
}

static void read_field(struct http_cache_facts *f, struct names *names,
                       const struct http1_header *h, const char *base)
{
    const char *value = base + h->value.off;
    if (h->id == HTTP1_H_CACHE_CONTROL)
        http_cache_control_add(&f->control, value, h->value.len);
    else if (h->id == HTTP1_H_SET_COOKIE)
        f->sets_cookie = true;
    else if (h->id == HTTP1_H_DATE && !f->has_date)
        f->has_date = http_date_parse(value, h->value.len, f->now_s, &f->date_s);
    if (h->id != HTTP1_H_OTHER)
        return;
    f->has_validator |= is_named(h, base, "etag") || is_named(h, base, "last-modified");
    if (is_named(h, base, "vary"))
        http_cache_each_name(value, h->value.len, add_name, names);
    else if (is_named(h, base, "age"))
        f->age_s = read_age(value, h->value.len);
    else if (is_named(h, base, "expires") && !f->has_expires) {
        f->has_expires = true;
        if (!http_date_parse(value, h->value.len, f->now_s, &f->expires_s))
            f->expires_s = 0;
    }
}

static uint32_t valid_for(const struct conf_cache *rule, unsigned status)
{
    for (uint32_t i = 0; i < rule->valid_count; i++)
        if (status >= rule->valid[i].from && status <= rule->valid[i].to)
            return rule->valid[i].seconds;
    return HTTP_CACHE_NONE;
}

static void gather(const struct txn_cache *tc, const struct http1_head *h, const char *base,
                   struct http_cache_facts *f, struct names *names)
{
    const struct worker *w = tc->t->worker;
    names->len = 0;
    names->any = false;
    *f = (struct http_cache_facts){.status = h->status,
                                   .authorized = tc->authorized,
                                   .request_no_store = tc->asked.no_store,
                                   .now_s = (int64_t)(clock_wall_ms() / 1000),
                                   .delay_s = (uint32_t)((w->now_us - tc->asked_us) / 1000000),
                                   .valid_s = valid_for(tc->rule, h->status),
                                   .while_revalidate = tc->rule->while_revalidate_ms / 1000,
                                   .if_error = tc->rule->if_error_ms / 1000};
    http_cache_control_init(&f->control);
    for (uint32_t i = 0; i < h->count; i++)
        read_field(f, names, &h->headers[i], base);
    f->vary_any = names->any;
}

/* ---- the head ---- */

/* What belongs to one connection, one moment or one client is not kept. */
static bool is_kept(const struct http1_header *f, const char *base)
{
    const uint64_t dropped = 1ull << HTTP1_H_CONNECTION | 1ull << HTTP1_H_KEEP_ALIVE |
                             1ull << HTTP1_H_PROXY_CONNECTION | 1ull << HTTP1_H_TE |
                             1ull << HTTP1_H_TRAILER | 1ull << HTTP1_H_TRANSFER_ENCODING |
                             1ull << HTTP1_H_UPGRADE | 1ull << HTTP1_H_CONTENT_LENGTH |
                             1ull << HTTP1_H_PROXY_AUTHENTICATE | 1ull << HTTP1_H_SET_COOKIE;
    return !f->hop && !(dropped & 1ull << f->id) && !is_named(f, base, "age") &&
           !is_named(f, base, "x-cache");
}

static uint32_t put(uint32_t at, const char *bytes, size_t len)
{
    memcpy(text + at, bytes, len);
    return at + (uint32_t)len;
}

static uint32_t add_line(uint32_t at, const struct http1_header *f, const char *base)
{
    if (at + f->name.len + f->value.len + 4 > BUF_LARGE_BYTES)
        return at;
    at = put(at, base + f->name.off, f->name.len);
    at = put(at, ": ", 2);
    at = put(at, base + f->value.off, f->value.len);
    return put(at, "\r\n", 2);
}

static uint32_t add_status(const struct http1_head *h, const char *base)
{
    return (uint32_t)snprintf(text, 512, "HTTP/1.1 %03u %.*s\r\n", (unsigned)h->status,
                              (int)(h->reason.len < 400 ? h->reason.len : 400),
                              base + h->reason.off);
}

/* Into `text`; without the empty line. A response without a date gets one (RFC 9110 6.6.1). */
static uint32_t write_head(const struct http1_head *h, const char *base, int64_t now_s)
{
    char date[HTTP_DATE_BYTES];
    uint32_t at = add_status(h, base);
    for (uint32_t i = 0; i < h->count; i++)
        if (is_kept(&h->headers[i], base))
            at = add_line(at, &h->headers[i], base);
    if (!(h->present & 1ull << HTTP1_H_DATE))
        at += (uint32_t)snprintf(text + at, 64, "Date: %s\r\n", http_date_format(now_s, date));
    return at;
}

bool cache_store_head(const struct txn_cache *tc, struct buf *out)
{
    const struct table *t = tc->t->worker->table;
    const struct cache_about *a = cache_about(t, &tc->ref);
    struct cache_ref r = tc->ref;
    if (buf_room(out) < a->head_bytes)
        return false;
    cache_seek(t, &r, (uint64_t)a->key_bytes + a->vary_bytes);
    uint32_t n = cache_read(t, &r, out->data + out->end, a->head_bytes);
    out->end += n;
    return n == a->head_bytes;
}

/* ---- keeping ---- */

/* What is being fetched at a time by one worker takes a part of the room at most. */
static bool has_room(const struct worker *w, uint64_t more)
{
    uint64_t all = (uint64_t)word_get(&w->table->header->cache_blocks) * CACHE_BLOCK_BYTES;
    uint32_t workers = word_get(&w->table->header->workers);
    uint64_t share = all / 4 / (workers ? workers : 1), least = all / 8;
    return w->cache_filling_bytes + more <= (share > least ? share : least);
}

static bool write_begin(struct txn_cache *tc, const struct cache_key *k, uint32_t head_bytes)
{
    struct worker *w = tc->t->worker;
    if (!has_room(w, 1) || !cache_fill_begin(w->table, w->slot, &tc->fill))
        return false;
    tc->filling = true;
    if (cache_fill_write(w->table, w->slot, &tc->fill, k->text, k->len) &&
        cache_fill_write(w->table, w->slot, &tc->fill, k->vary, k->vary_len) &&
        cache_fill_write(w->table, w->slot, &tc->fill, text, head_bytes))
        return true;
    cache_store_end(tc);
    return false;
}

/* Judges it and writes its head; its body is to follow. */
static bool begin(struct txn_cache *tc, const struct http1_head *h, const char *base,
                  struct cache_key *k)
{
    const struct worker *w = tc->t->worker;
    struct http_cache_facts f;
    struct http_cache_verdict v;
    struct names names;
    gather(tc, h, base, &f, &names);
    http_cache_judge(&f, &v);
    if (!v.store || !cache_guard_holds(w->table, tc->base, tc->guard))
        return false;
    *k = cache_key_of(tc);
    tc->hash = tc->base;
    if (names.len && !cache_key_vary(tc, names.text, names.len, k))
        return false;
    uint32_t head_bytes = write_head(h, base, f.now_s);
    tc->about = (struct cache_about){.hash = tc->hash,
                                     .born_us = (int64_t)w->now_us - (int64_t)v.age_s * 1000000,
                                     .made_us = w->now_us,
                                     .fresh_s = v.fresh_s,
                                     .while_revalidate_s = v.while_revalidate,
                                     .if_error_s = v.if_error,
                                     .key_bytes = k->len,
                                     .vary_bytes = k->vary_len,
                                     .head_bytes = head_bytes,
                                     .status = h->status,
                                     .must_revalidate = v.must_revalidate};
    return write_begin(tc, k, head_bytes);
}

bool cache_store_begin(struct txn_cache *tc, const struct http1_head *h, const char *base)
{
    struct cache_key k;
    uint64_t most = tc->t->gen->conf->cache.object_bytes;
    return (h->body != HTTP1_BODY_LENGTH || h->content_length <= most) && begin(tc, h, base, &k);
}

void cache_store_end(struct txn_cache *tc)
{
    struct worker *w = tc->t->worker;
    if (!tc->filling)
        return;
    cache_fill_abort(w->table, &tc->fill);
    account_cache_abandoned(w);
    w->cache_filling_bytes -= tc->about.body_bytes;
    tc->filling = tc->t->keeps = false;
}

static bool append(struct txn_cache *tc, const char *bytes, uint32_t len)
{
    struct worker *w = tc->t->worker;
    if (tc->about.body_bytes + len > tc->t->gen->conf->cache.object_bytes || !has_room(w, len) ||
        !cache_fill_write(w->table, w->slot, &tc->fill, bytes, len))
        return false;
    tc->about.body_bytes += len;
    w->cache_filling_bytes += len;
    return true;
}

/* Too long, or no room: it passes on, and nobody waits for it any more. */
void cache_keep(struct txn *t, const char *bytes, uint32_t len)
{
    struct txn_cache *tc = t->cache;
    if (append(tc, bytes, len))
        return;
    cache_store_end(tc);
    cache_pass(t->worker->table, tc->claim_hash, t->worker->now_us);
    cache_release_claim(tc);
}

static void publish(struct txn_cache *tc)
{
    struct worker *w = tc->t->worker;
    if (!cache_guard_holds(w->table, tc->base, tc->guard)) {
        cache_store_end(tc);
        return;
    }
    w->cache_filling_bytes -= tc->about.body_bytes;
    tc->filling = tc->t->keeps = false;
    cache_fill_publish(w->table, w->slot, &tc->fill, &tc->about);
    cache_pass_end(w->table, tc->hash);
}

void cache_complete(struct txn *t)
{
    publish(t->cache);
    cache_release_claim(t->cache);
}

/* ---- confirmed ---- */

static bool has_field(const struct http1_head *h, const char *base, const struct http1_header *f,
                      const char *name)
{
    return http1_find_name(h, base, name, f->name.len) != NULL;
}

/* What describes the body stays as it was kept (RFC 9111 3.2). */
static bool is_about_body(const struct http1_header *f, const char *base)
{
    return f->id == HTTP1_H_CONTENT_LENGTH || is_named(f, base, "content-encoding") ||
           is_named(f, base, "content-type") || is_named(f, base, "content-range");
}

/* The kept head with the fields of the confirmation in place of its own, into `text`, complete. */
static uint32_t merge(const struct http1_head *old, const char *old_base,
                      const struct http1_head *new, const char *new_base)
{
    uint32_t at = add_status(old, old_base);
    for (uint32_t i = 0; i < old->count; i++) {
        const struct http1_header *f = &old->headers[i];
        if (is_about_body(f, old_base) || !has_field(new, new_base, f, old_base + f->name.off))
            at = add_line(at, f, old_base);
    }
    for (uint32_t i = 0; i < new->count; i++)
        if (is_kept(&new->headers[i], new_base) && !is_about_body(&new->headers[i], new_base))
            at = add_line(at, &new->headers[i], new_base);
    return put(at, "\r\n", 2);
}

static bool parse(struct http1_head *h, const char *bytes, uint32_t len)
{
    http1_head_reset(h);
    return http1_parse_response(h, bytes, len, &limits, false, false) == HTTP1_DONE;
}

/* The merged head, parsed; its bytes are in `out`. */
static bool make_merged(const struct txn_cache *tc, const struct http1_head *new,
                        const char *new_base, struct buf *out, struct http1_head *h)
{
    if (!cache_store_head(tc, out) || buf_room(out) < 2)
        return false;
    buf_append(out, "\r\n", 2);
    if (!parse(h, buf_at(out), buf_len(out)))
        return false;
    uint32_t len = merge(h, buf_at(out), new, new_base);
    out->start = out->end = 0;
    if (buf_room(out) < len)
        return false;
    buf_append(out, text, len);
    return parse(h, buf_at(out), len);
}

static bool copy_body(struct txn_cache *tc)
{
    const struct table *t = tc->t->worker->table;
    const struct cache_about *a = cache_about(t, &tc->ref);
    char part[CACHE_BLOCK_BYTES];
    struct cache_ref r = tc->ref;
    cache_seek(t, &r, (uint64_t)a->key_bytes + a->vary_bytes + a->head_bytes);
    for (uint64_t left = a->body_bytes; left > 0;) {
        uint32_t want = left < sizeof part ? (uint32_t)left : (uint32_t)sizeof part;
        uint32_t n = cache_read(t, &r, part, want);
        if (n == 0 || !append(tc, part, n))
            return false;
        left -= n;
    }
    return true;
}

static bool keep_anew(struct txn_cache *tc, const struct http1_head *h, const char *base)
{
    struct worker *w = tc->t->worker;
    struct cache_key k;
    struct cache_ref fresh;
    if (!begin(tc, h, base, &k))
        return false;
    if (!copy_body(tc)) {
        cache_store_end(tc);
        return false;
    }
    publish(tc);
    if (!cache_find(w->table, w->slot, &k, &fresh))
        return false;
    cache_unpin_ref(tc);
    tc->ref = fresh;
    tc->pinned = true;
    return true;
}

void cache_store_freshen(struct txn_cache *tc, const struct http1_head *confirmed, const char *base)
{
    static struct http1_head merged;
    struct worker *w = tc->t->worker;
    struct buf *b = buf_get(&w->bufs, true);
    if (b && make_merged(tc, confirmed, base, b, &merged))
        (void)keep_anew(tc, &merged, buf_at(b));
    buf_put(&w->bufs, b);
}
