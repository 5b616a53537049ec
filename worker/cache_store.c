/* worker/cache_store.c: from a response on its way to one that is kept. */
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/http_date.h"
#include "worker/account.h"
#include "worker/cache_int.h"

#define STALLED_US      1000000u /* without a byte more: others may have its room */
#define HEAD_MOST_BYTES (BUF_LARGE_BYTES - 4096u) /* as those of backends */

static const struct http1_limits limits = {BUF_LARGE_BYTES, HTTP1_HEADERS_MAX};
static char text[BUF_LARGE_BYTES + 256]; /* a head on its way into the cache */

/* ---- the head ---- */

/* What belongs to one connection, one moment or one client is not kept. */
static bool is_kept(const struct http1_header *f, const char *base)
{
    const uint64_t dropped = 1ull << HTTP1_H_CONNECTION | 1ull << HTTP1_H_KEEP_ALIVE |
                             1ull << HTTP1_H_PROXY_CONNECTION | 1ull << HTTP1_H_TE |
                             1ull << HTTP1_H_TRAILER | 1ull << HTTP1_H_TRANSFER_ENCODING |
                             1ull << HTTP1_H_UPGRADE | 1ull << HTTP1_H_CONTENT_LENGTH |
                             1ull << HTTP1_H_PROXY_AUTHENTICATE | 1ull << HTTP1_H_SET_COOKIE;
    return !f->hop && !(dropped & 1ull << f->id) && !cache_is_named(f, base, "age") &&
           !cache_is_named(f, base, "x-cache");
}

static uint32_t put(uint32_t at, const char *bytes, size_t len)
{
    memcpy(text + at, bytes, len);
    return at + (uint32_t)len;
}

/* What finds no room is left out: two heads may be too much for one, see make_merged(). */
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

static void give_up(struct txn_cache *tc);

/* One whose client does not read takes no room from others. */
static bool make_way(struct worker *w, uint64_t more)
{
    while (!has_room(w, more)) {
        struct txn_cache *oldest = w->cache_fills.first;
        if (!oldest || w->now_us < oldest->grown_us + STALLED_US)
            return false;
        give_up(oldest);
    }
    return true;
}

bool cache_store_open(struct txn_cache *tc)
{
    struct worker *w = tc->t->worker;
    if (!make_way(w, 1) || !cache_fill_begin(w->table, w->slot, &tc->fill))
        return false;
    tc->filling = true;
    tc->grown_us = w->now_us;
    cache_list_add(&w->cache_fills, tc);
    return true;
}

static bool write_begin(struct txn_cache *tc, const struct cache_key *k, uint32_t head_bytes)
{
    struct worker *w = tc->t->worker;
    if (!cache_store_open(tc))
        return false;
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
    struct cache_names names;
    cache_facts_gather(tc, h, base, &f, &names);
    http_cache_judge(&f, &v);
    if (!v.store || !cache_guard_holds(w->table, tc->address, tc->guard))
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
                                     .epoch = tc->guard.epoch,
                                     .address = tc->address,
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

void cache_store_done(struct txn_cache *tc)
{
    tc->t->worker->cache_filling_bytes -= tc->about.body_bytes;
    cache_list_remove(&tc->t->worker->cache_fills, tc);
    tc->filling = tc->t->keeps = false;
}

void cache_store_end(struct txn_cache *tc)
{
    struct worker *w = tc->t->worker;
    if (!tc->filling)
        return;
    cache_fill_abort(w->table, &tc->fill);
    if (tc->about.kind == CACHE_RESPONSE)
        account_cache_abandoned(w);
    cache_store_done(tc);
}

bool cache_store_append(struct txn_cache *tc, const char *bytes, uint32_t len)
{
    struct worker *w = tc->t->worker;
    tc->grown_us = w->now_us;
    cache_list_remove(&w->cache_fills, tc);
    cache_list_add(&w->cache_fills, tc);
    if (tc->about.body_bytes + len > tc->t->gen->conf->cache.object_bytes || !make_way(w, len) ||
        !cache_fill_write(w->table, w->slot, &tc->fill, bytes, len))
        return false;
    tc->about.body_bytes += len;
    w->cache_filling_bytes += len;
    return true;
}

/* It passes on, and nobody waits for it any more. */
static void give_up(struct txn_cache *tc)
{
    struct worker *w = tc->t->worker;
    cache_store_end(tc);
    if (tc->about.kind == CACHE_RESPONSE)
        cache_pass(w->table, tc->claim_hash, w->now_us);
    cache_release_claim(tc);
}

/* Too long, or no room. */
void cache_keep(struct txn *t, const char *bytes, uint32_t len)
{
    if (!cache_store_append(t->cache, bytes, len))
        give_up(t->cache);
}

static void publish(struct txn_cache *tc)
{
    struct worker *w = tc->t->worker;
    if (!cache_guard_holds(w->table, tc->address, tc->guard)) {
        cache_store_end(tc);
        return;
    }
    cache_store_done(tc);
    cache_fill_publish(w->table, w->slot, &tc->fill, &tc->about);
    tc->kept = true;
    if (!cache_guard_holds(w->table, tc->address, tc->guard)) /* a purge may have gone by it */
        cache_fill_retract(w->table, w->slot, &tc->fill);
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
    return f->id == HTTP1_H_CONTENT_LENGTH || cache_is_named(f, base, "content-encoding") ||
           cache_is_named(f, base, "content-type") || cache_is_named(f, base, "content-range");
}

/* A date of its own, or that of now: it was made now (RFC 9110 6.6.1). */
static uint32_t add_date(uint32_t at, const struct http1_head *new)
{
    char date[HTTP_DATE_BYTES];
    if (new->present & 1ull << HTTP1_H_DATE)
        return at;
    http_date_format((int64_t)(clock_wall_ms() / 1000), date);
    return at + (uint32_t)snprintf(text + at, 64, "Date: %s\r\n", date);
}

/* The kept head with the fields of the confirmation in place of its own, into `text`, complete; its
 * age with them. */
static uint32_t merge(const struct http1_head *old, const char *old_base,
                      const struct http1_head *new, const char *new_base)
{
    uint32_t at = add_status(old, old_base);
    for (uint32_t i = 0; i < old->count; i++) {
        const struct http1_header *f = &old->headers[i];
        if (is_about_body(f, old_base) ||
            (f->id != HTTP1_H_DATE && !has_field(new, new_base, f, old_base + f->name.off)))
            at = add_line(at, f, old_base);
    }
    for (uint32_t i = 0; i < new->count; i++) {
        const struct http1_header *f = &new->headers[i];
        if ((is_kept(f, new_base) && !is_about_body(f, new_base)) ||
            cache_is_named(f, new_base, "age"))
            at = add_line(at, f, new_base);
    }
    return put(add_date(at, new), "\r\n", 2);
}

static bool parse(struct http1_head *h, const char *bytes, uint32_t len)
{
    http1_head_reset(h);
    return http1_parse_response(h, bytes, len, &limits, false, false) == HTTP1_DONE;
}

/* RFC 9111 4.3.4: it is about another one when its tag is another. */
static bool is_of_another(const struct http1_head *old, const char *old_base,
                          const struct http1_head *new, const char *new_base)
{
    const struct http1_header *was = http1_find_name(old, old_base, "etag", 4);
    const struct http1_header *is = http1_find_name(new, new_base, "etag", 4);
    return was && is &&
           !http_cache_etag_matches(new_base + is->value.off, is->value.len,
                                    old_base + was->value.off, was->value.len);
}

/* The merged head, parsed; its bytes are in `out`. */
static bool make_merged(const struct txn_cache *tc, const struct http1_head *new,
                        const char *new_base, struct buf *out, struct http1_head *h)
{
    if (!cache_store_head(tc, out) || buf_room(out) < 2 ||
        buf_len(out) + new->head_bytes > HEAD_MOST_BYTES)
        return false;
    buf_append(out, "\r\n", 2);
    if (!parse(h, buf_at(out), buf_len(out)) || is_of_another(h, buf_at(out), new, new_base))
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
    cache_seek_body(t, &r, 0);
    for (uint64_t left = a->body_bytes; left > 0;) {
        uint32_t want = left < sizeof part ? (uint32_t)left : (uint32_t)sizeof part;
        uint32_t n = cache_read(t, &r, part, want);
        if (n == 0 || !cache_store_append(tc, part, n))
            return false;
        left -= n;
    }
    return true;
}

/* Where it lies; one that fits in a block is copied sooner than looked for behind another. */
static bool take_body(struct txn_cache *tc)
{
    struct worker *w = tc->t->worker;
    if (cache_about(w->table, &tc->ref)->body_bytes <= CACHE_BLOCK_BYTES ||
        !cache_take_body(w->table, &tc->ref, &tc->fill, &tc->about))
        return false;
    w->cache_filling_bytes += tc->about.body_bytes; /* as if it had been written */
    return true;
}

static bool keep_anew(struct txn_cache *tc, const struct http1_head *h, const char *base)
{
    struct worker *w = tc->t->worker;
    struct cache_key k;
    struct cache_ref fresh;
    if (!begin(tc, h, base, &k))
        return false;
    if (!take_body(tc) && !copy_body(tc)) {
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
    if (!b || !make_merged(tc, confirmed, base, b, &merged) || !keep_anew(tc, &merged, buf_at(b)))
        cache_drop(w->table, w->slot, &tc->ref);
    buf_put(&w->bufs, b);
}
