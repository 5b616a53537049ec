/* worker/compress_head.c: which answers are compressed, and what their heads say. */
#include <string.h>
#include <strings.h>
#include "base/digits.h"
#include "base/http_cache.h"
#include "conf/route.h"
#include "worker/accept_encoding.h"
#include "worker/account.h"
#include "worker/cache.h"
#include "worker/coder.h"
#include "worker/compress.h"
#include "worker/edits.h"

static bool is(const struct http1_header *f, const char *base, const char *name, size_t len)
{
    return f->name.len == len && strncasecmp(base + f->name.off, name, len) == 0;
}

#define IS(f, base, name) is((f), (base), (name), sizeof(name) - 1)

/* Does the value have this text, in any case? */
static bool holds(const struct http1_header *f, const char *base, const char *text)
{
    size_t len = strlen(text);
    for (uint32_t i = 0; i + len <= f->value.len; i++)
        if (strncasecmp(base + f->value.off + i, text, len) == 0)
            return true;
    return false;
}

/* ---- the request ---- */

/* The client, or somebody before it, wants what the backend sends. */
static bool wants_it_raw(const struct http1_head *h, const char *base)
{
    for (uint32_t i = 0; i < h->count; i++)
        if (h->headers[i].id == HTTP1_H_CACHE_CONTROL &&
            holds(&h->headers[i], base, "no-transform"))
            return true;
    return false;
}

/* An entity tag as we make them: what it asks about was compressed. */
static bool asks_about_weak(const struct http1_head *h, const char *base)
{
    const struct http1_header *f = http1_find_name(h, base, "if-none-match", 13);
    return f && memmem(base + f->value.off, f->value.len, "W/\"", 3) != NULL;
}

void compress_request(struct txn *t, const struct http1_head *h, const char *base)
{
    struct accept_encoding a;
    if (h->minor == 0 || !(h->present & 1ull << HTTP1_H_ACCEPT_ENCODING) || wants_it_raw(h, base))
        return;
    accept_encoding_init(&a);
    for (uint32_t i = 0; i < h->count; i++)
        if (h->headers[i].id == HTTP1_H_ACCEPT_ENCODING)
            accept_encoding_add(&a, base + h->headers[i].value.off, h->headers[i].value.len);
    t->coding = (uint8_t)accept_encoding_choose(&a, t->route->compress->order);
    t->holds_weak = asks_about_weak(h, base);
}

/* ---- the answer ---- */

/* What its fields say. */
struct facts {
    const struct http1_header *type;
    bool varies;     /* Vary names Accept-Encoding, or all */
    bool as_it_is;   /* it is not ours to change */
    bool has_length; /* Content-Length */
};

/* One that is about these very bytes, or forbids others. */
static bool ties_bytes(const struct http1_header *f, const char *base)
{
    return IS(f, base, "content-encoding") || IS(f, base, "content-range") ||
           IS(f, base, "content-digest") || IS(f, base, "repr-digest") || IS(f, base, "digest") ||
           IS(f, base, "content-md5") || (f->id == HTTP1_H_TRAILER && holds(f, base, "digest")) ||
           (f->id == HTTP1_H_CACHE_CONTROL && holds(f, base, "no-transform"));
}

/* Of the names in a Vary: one that says nothing about codings. */
static bool is_other(void *arg UNUSED, const char *name, size_t len)
{
    return !(len == 15 && strncasecmp(name, "accept-encoding", 15) == 0) &&
           !(len == 1 && *name == '*');
}

static struct facts look(const struct txn *t, const struct http1_head *h, const char *base)
{
    struct facts facts = {.varies = t->route->says_vary};
    const struct conf_edits *edits = t->route->response_edits;
    bool keeps_vary = !edits || !edits_drop_name(edits, "vary", 4);
    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        if (IS(f, base, "content-type"))
            facts.type = f;
        else if (IS(f, base, "vary") && keeps_vary)
            facts.varies |=
                !http_cache_each_name(base + f->value.off, f->value.len, is_other, NULL);
        else if (f->id == HTTP1_H_CONTENT_LENGTH)
            facts.has_length = true;
        else if (ties_bytes(f, base))
            facts.as_it_is = true;
    }
    return facts;
}

bool compress_fits_type(const struct conf_compression *c, const char *type, uint32_t len)
{
    uint32_t end = 0;
    while (end < len && !strchr("; \t,", type[end]))
        end++;
    for (uint32_t i = 0; i < c->type_count; i++) {
        size_t n = strlen(c->types[i]);
        bool all = c->types[i][n - 1] == '*';
        if (all && n == 3) /* any */
            return true;
        if ((all ? end >= n : end == n) && strncasecmp(type, c->types[i], all ? n - 1 : n) == 0)
            return true;
    }
    return false;
}

/* Could it be compressed for a client that takes that? */
static bool fits(const struct txn *t, const struct http1_head *h, const char *base,
                 const struct facts *facts)
{
    const struct conf_compression *c = t->route->compress;
    if (facts->as_it_is || h->status < 200 || h->status == 204 || h->status == 206)
        return false;
    if (h->status == 304 && !facts->type)
        return t->holds_weak;
    if (!facts->type ||
        !compress_fits_type(c, base + facts->type->value.off, facts->type->value.len))
        return false;
    if (h->status == 304)
        return true;
    if (h->body == HTTP1_BODY_NONE && !t->req_is_head)
        return false;
    return !facts->has_length || (h->content_length && h->content_length >= c->min_bytes);
}

/* From the cache, as somebody before got it. */
static bool is_remembered(struct txn *t)
{
    if (LIKELY(!t->stored) || !cache_coded_take(t, t->coding, t->route->compress->level))
        return false;
    account_compression(t);
    return true;
}

static void encode(struct txn *t, const struct http1_head *h)
{
    uint64_t size = h->body == HTTP1_BODY_LENGTH ? h->content_length : CODER_SIZE_UNKNOWN;
    if (!t->req_is_head && !is_remembered(t)) {
        if (!(t->compressor = compress_begin(t, size)))
            return;
        t->res_out = BODY_DECHUNK; /* the payload alone; chunks of our own follow */
        t->compressor->remembered =
            t->stored && cache_coded_begin(t, t->coding, t->route->compress->level);
    }
    t->recoded |= COMPRESS_ENCODED | COMPRESS_WEAK;
}

void compress_response(struct txn *t, const struct http1_head *h)
{
    const char *base = buf_at(t->rbuf);
    struct facts facts = look(t, h, base);
    if (!fits(t, h, base, &facts))
        return;
    t->recoded = facts.varies ? 0 : COMPRESS_VARY;
    if (t->coding == CODING_NONE)
        return;
    if (h->status == 304)
        t->recoded |= t->holds_weak ? COMPRESS_WEAK : 0;
    else
        encode(t, h);
}

/* ---- its fields ---- */

static bool is_strong(const struct http1_header *f, const char *base)
{
    return f->value.len && base[f->value.off] == '"';
}

bool compress_drops(const struct txn *t, const struct http1_header *f, const char *base)
{
    if (t->recoded & COMPRESS_VARY && IS(f, base, "vary"))
        return true;
    if (t->recoded & COMPRESS_WEAK && IS(f, base, "etag"))
        return is_strong(f, base);
    return t->recoded & COMPRESS_ENCODED &&
           (f->id == HTTP1_H_CONTENT_LENGTH || IS(f, base, "accept-ranges"));
}

static void add(struct buf *out, const char *text)
{
    buf_append(out, text, strlen(text));
}

static void add_value(struct buf *out, const struct http1_header *f, const char *base)
{
    buf_append(out, base + f->value.off, f->value.len);
}

/* One Vary, with what the backend named. */
static void append_vary(const struct txn *t, struct buf *out, const struct http1_head *h,
                        const char *base)
{
    const struct conf_edits *edits = t->route->response_edits;
    add(out, "Vary: ");
    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        if (!IS(f, base, "vary") || f->value.len == 0 || (edits && edits_drop(edits, f, base)))
            continue;
        add_value(out, f, base);
        add(out, ", ");
    }
    add(out, "Accept-Encoding\r\n");
}

static void append_weak_tag(const struct txn *t, struct buf *out, const struct http1_head *h,
                            const char *base)
{
    const struct conf_edits *edits = t->route->response_edits;
    const struct http1_header *f = http1_find_name(h, base, "etag", 4);
    if (!f || !is_strong(f, base) || (edits && edits_drop(edits, f, base)))
        return;
    add(out, "ETag: W/");
    add_value(out, f, base);
    add(out, "\r\n");
}

static void append_length(const struct txn *t, struct buf *out)
{
    char length[DIGITS_UINT_MAX];
    char *end = digits_uint(length, t->res_left);
    add(out, "Content-Length: ");
    buf_append(out, length, (size_t)(end - length));
    add(out, "\r\n");
}

void compress_append(const struct txn *t, struct buf *out, const struct http1_head *h,
                     const char *base)
{
    if (t->recoded & COMPRESS_VARY)
        append_vary(t, out, h, base);
    if (t->recoded & COMPRESS_WEAK)
        append_weak_tag(t, out, h, base);
    if (!(t->recoded & COMPRESS_ENCODED))
        return;
    add(out, "Content-Encoding: ");
    add(out, conf_coding_name(t->coding));
    add(out, t->compressor ? "\r\nTransfer-Encoding: chunked\r\n" : "\r\n");
    if (!t->compressor && !t->req_is_head)
        append_length(t, out);
}
