/* worker/cache_serve.c: from a stored response to the client's: whole, a part, or "not modified".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "base/clock.h"
#include "base/digits.h"
#include "base/http_date.h"
#include "worker/account.h"
#include "worker/cache_int.h"
#include "worker/conn.h"
#include "worker/relay.h"
#include "worker/txn.h"

#define SENT_BLOCKS 32u  /* with one system call */
#define ADDED_BYTES 256u /* what the stored head gets: length, range, the empty line */

static const struct http1_limits limits = {BUF_LARGE_BYTES, HTTP1_HEADERS_MAX};

enum shape { WHOLE, PART, OUTSIDE, NOT_MODIFIED };

struct plan {
    enum shape shape;
    uint64_t first, count; /* of the body */
};

/* ---- what the client asked for ---- */

struct field {
    const char *at;
    uint32_t len;
};

static struct field find(const struct http1_head *h, const char *base, const char *name)
{
    const struct http1_header *f = http1_find_name(h, base, name, strlen(name));
    return f ? (struct field){base + f->value.off, f->value.len} : (struct field){NULL, 0};
}

static bool same(struct field a, struct field b)
{
    return a.at && b.at && a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

/* RFC 9110 13.2.2: If-None-Match goes before If-Modified-Since. */
bool cache_is_unmodified(const struct http1_head *asked, const char *asked_base,
                         const struct http1_head *h, const char *base)
{
    int64_t now_s = (int64_t)(clock_wall_ms() / 1000), since_s, modified_s;
    struct field tags = find(asked, asked_base, "if-none-match"), etag = find(h, base, "etag");
    if (tags.at) /* without a tag only "*" matches */
        return http_cache_etag_matches(tags.at, tags.len, etag.at ? etag.at : "", etag.len);
    struct field since = find(asked, asked_base, "if-modified-since");
    struct field modified = find(h, base, "last-modified");
    return since.at && modified.at && http_date_parse(since.at, since.len, now_s, &since_s) &&
           http_date_parse(modified.at, modified.len, now_s, &modified_s) && modified_s <= since_s;
}

/* RFC 9110 13.1.5: a part only of what the client has; weak tags do not count. */
static bool is_same_for_range(const struct http1_head *asked, const char *asked_base,
                              const struct http1_head *h, const char *base)
{
    struct field condition = find(asked, asked_base, "if-range");
    if (!condition.at)
        return true;
    if (condition.len && *condition.at == '"')
        return same(condition, find(h, base, "etag"));
    return same(condition, find(h, base, "last-modified"));
}

static void plan_part(struct plan *p, const struct http1_head *asked, const char *asked_base,
                      const struct http1_head *h, const char *base)
{
    uint64_t body = p->count, first = 0, count = 0;
    struct field range = find(asked, asked_base, "range");
    if (!range.at || !asked->is_get || !is_same_for_range(asked, asked_base, h, base))
        return;
    switch (http_cache_range(range.at, range.len, body, &first, &count)) {
    case HTTP_RANGE_IGNORE: break;
    case HTTP_RANGE_OK: *p = (struct plan){PART, first, count}; break;
    case HTTP_RANGE_OUTSIDE: *p = (struct plan){OUTSIDE, 0, 0}; break;
    }
}

/* Conditions and ranges are for a 200. h: the stored head, parsed. */
static void make_plan(const struct txn_cache *tc, const struct http1_head *h, const char *base,
                      struct plan *p)
{
    const char *asked_base;
    const struct http1_head *asked;
    if (h->status != 200 || !(asked = cache_client_head(tc, &asked_base)))
        return;
    if (tc->conditional && cache_is_unmodified(asked, asked_base, h, base))
        *p = (struct plan){NOT_MODIFIED, 0, 0};
    else if (tc->ranged)
        plan_part(p, asked, asked_base, h, base);
}

/* ---- the head ---- */

/* RFC 9110 15.4.5: what describes the body that is not sent is left out. */
bool cache_goes_with_304(const struct http1_header *f, const char *base)
{
    const char *name = base + f->name.off;
    return f->name.len < 8 || strncasecmp(name, "content-", 8) != 0 ||
           (f->name.len == 16 && strncasecmp(name, "content-location", 16) == 0) ||
           (f->name.len > 16 && strncasecmp(name, "content-security", 16) == 0);
}

static void copy_fields(struct buf *out, const struct http1_head *h, const char *base,
                        enum shape shape)
{
    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        if (shape != PART && !cache_goes_with_304(f, base))
            continue;
        buf_append(out, base + f->name.off, f->name.len);
        buf_append(out, ": ", 2);
        buf_append(out, base + f->value.off, f->value.len);
        buf_append(out, "\r\n", 2);
    }
}

static void add_text(struct buf *out, const char *text)
{
    buf_append(out, text, strlen(text));
}

/* Another status with the fields of the stored head. */
static bool reshape(struct txn_cache *tc, const struct http1_head *h, const struct plan *p,
                    uint64_t body)
{
    struct txn *t = tc->t;
    char line[96] = "";
    struct buf *out = buf_get(&t->worker->bufs, t->rbuf->large);
    if (!out)
        return false;
    add_text(out, p->shape == PART      ? "HTTP/1.1 206 Partial Content\r\n"
                  : p->shape == OUTSIDE ? "HTTP/1.1 416 Range Not Satisfiable\r\n"
                                        : "HTTP/1.1 304 Not Modified\r\n");
    copy_fields(out, h, buf_at(t->rbuf), p->shape);
    if (p->shape == PART)
        snprintf(line, sizeof line, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n",
                 p->first, p->first + p->count - 1, body);
    else if (p->shape == OUTSIDE)
        snprintf(line, sizeof line, "Content-Range: bytes */%" PRIu64 "\r\n", body);
    add_text(out, line);
    buf_put(&t->worker->bufs, t->rbuf);
    t->rbuf = out;
    return true;
}

static bool parse(struct txn *t)
{
    http1_head_reset(t->res);
    return http1_parse_response(t->res, buf_at(t->rbuf), buf_len(t->rbuf), &limits, t->req_is_head,
                                false) == HTTP1_DONE;
}

static bool shape_head(struct txn_cache *tc, struct plan *p, uint64_t body)
{
    struct txn *t = tc->t;
    buf_append(t->rbuf, "\r\n", 2);
    if (!parse(t))
        return false;
    t->rbuf->end -= 2;
    make_plan(tc, t->res, buf_at(t->rbuf), p);
    return p->shape == WHOLE || reshape(tc, t->res, p, body);
}

/* The head as text in t->rbuf, parsed in t->res. */
static bool write_head(struct txn_cache *tc, struct plan *p)
{
    struct txn *t = tc->t;
    struct worker *w = t->worker;
    const struct cache_about *a = cache_about(w->table, &tc->ref);
    char line[DIGITS_UINT_MAX];
    uint32_t need = a->head_bytes + ADDED_BYTES;
    bool large = need + a->body_bytes > BUF_SMALL_BYTES - 128;
    *p = (struct plan){WHOLE, 0, a->body_bytes};
    t->rbuf = buf_get(&w->bufs, large);
    t->res = slab_get(&w->head_slab);
    if (!t->rbuf || !t->res || buf_room(t->rbuf) < need || !cache_store_head(tc, t->rbuf))
        return false;
    if ((tc->conditional || tc->ranged) && !shape_head(tc, p, a->body_bytes))
        return false;
    if (p->shape != NOT_MODIFIED && a->status != 204) {
        add_text(t->rbuf, "Content-Length: ");
        char *end = digits_uint(line, p->count);
        buf_append(t->rbuf, line, (size_t)(end - line));
        add_text(t->rbuf, "\r\n");
    }
    add_text(t->rbuf, "\r\n");
    return parse(t);
}

/* ---- the answer ---- */

static void release_answer(struct txn *t)
{
    struct worker *w = t->worker;
    if (t->res)
        slab_put(&w->head_slab, t->res);
    buf_put(&w->bufs, t->rbuf);
    t->res = NULL;
    t->rbuf = NULL;
    t->res_ready = 0;
}

void cache_serve(struct txn_cache *tc, enum cache_result how)
{
    struct txn *t = tc->t;
    struct table *table = t->worker->table;
    struct plan p;
    release_answer(t);
    t->req_is_head |= tc->quiet;
    tc->unmodified = false;
    if (!write_head(tc, &p)) {
        conn_close(t->conn, "a stored response could not be read");
        return;
    }
    tc->result = (uint8_t)how;
    cache_touch(table, &tc->ref);
    cache_seek_body(table, &tc->ref, p.first);
    tc->left = t->req_is_head ? 0 : p.count;
    t->stored = true;
    buf_put(&t->worker->bufs, tc->text); /* who reads slowly has no buffer */
    tc->text = NULL;
    txn_set_state(t, TXN_REPLY);
    relay_response_stored(t);
}

uint32_t cache_more(struct txn *t, struct buf *b)
{
    struct txn_cache *tc = t->cache;
    struct worker *w = t->worker;
    uint32_t want = buf_room(b) < tc->left ? buf_room(b) : (uint32_t)tc->left;
    uint32_t n = want ? cache_read(w->table, &tc->ref, b->data + b->end, want) : 0;
    b->end += n;
    tc->left -= n;
    account_cache_served(w, n);
    if (tc->left == 0)
        cache_unpin_ref(tc);
    return n;
}

static uint32_t gather(const struct txn_cache *tc, struct iovec iov[SENT_BLOCKS])
{
    struct cache_ref r = tc->ref;
    uint32_t count = 0, n = 0;
    for (uint64_t left = tc->left; left && count < SENT_BLOCKS; left -= n) {
        const char *run = cache_run(tc->t->worker->table, &r, left, &n);
        if (!run)
            break;
        iov[count++] = (struct iovec){(char *)(uintptr_t)run, n};
    }
    return count;
}

static void skip(struct txn_cache *tc, uint64_t len)
{
    uint32_t n = 0;
    tc->left -= len;
    for (; len && cache_run(tc->t->worker->table, &tc->ref, len, &n); len -= n)
        continue;
}

ssize_t cache_send(struct txn *t)
{
    struct txn_cache *tc = t->cache;
    struct iovec iov[SENT_BLOCKS];
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = gather(tc, iov)};
    if (m.msg_iovlen == 0) {
        errno = EIO; /* it is not all there */
        return -1;
    }
    ssize_t n;
    do
        n = sendmsg(conn_fd(t->conn), &m, MSG_NOSIGNAL);
    while (n == -1 && errno == EINTR);
    if (n <= 0)
        return n;
    skip(tc, (uint64_t)n);
    account_cache_served(t->worker, (uint64_t)n);
    if (tc->left == 0)
        cache_unpin_ref(tc);
    return n;
}

/* ---- asking again ---- */

size_t cache_conditions(const struct txn *t, char out[CACHE_CONDITIONS_BYTES])
{
    static struct http1_head h;
    struct txn_cache *tc = t->cache;
    struct buf *b = buf_get(&t->worker->bufs, true);
    int len = 0;
    if (b && cache_store_head(tc, b) && buf_room(b) >= 2) {
        buf_append(b, "\r\n", 2);
        http1_head_reset(&h);
        if (http1_parse_response(&h, buf_at(b), buf_len(b), &limits, false, false) == HTTP1_DONE) {
            struct field etag = find(&h, buf_at(b), "etag");
            struct field modified = find(&h, buf_at(b), "last-modified");
            if (etag.at && etag.len < CACHE_CONDITIONS_BYTES / 2)
                len = snprintf(out, CACHE_CONDITIONS_BYTES / 2 + 32, "If-None-Match: %.*s\r\n",
                               (int)etag.len, etag.at);
            if (modified.at && modified.len < 64)
                len += snprintf(out + len, 128, "If-Modified-Since: %.*s\r\n", (int)modified.len,
                                modified.at);
        }
    }
    buf_put(&t->worker->bufs, b);
    return (size_t)len;
}
