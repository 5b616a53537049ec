/* worker/auth.h: somebody else is asked whether a request may pass. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/cgi_name.h"
#include "conf/auth.h"
#include "conf/route.h"
#include "worker/auth.h"
#include "worker/conn.h"
#include "worker/forged.h"
#include "worker/head.h"
#include "worker/reply.h"
#include "worker/side.h"
#include "worker/txn.h"
#include "worker/txn_start.h"
#include "worker/vars.h"

#define GRACE_MS 1000u /* the side request's own limit comes first */

/* ---- the question ---- */

/* What frames the request or belongs to the connection: the question has neither body nor upgrade.
 * The rest is told by fields of our own. */
static bool is_left_out(const struct http1_header *f, const char *base)
{
    static const char *const own[] = {"x-original-uri", "x-original-method"};
    uint64_t left_out = 1ull << HTTP1_H_CONTENT_LENGTH | 1ull << HTTP1_H_TRANSFER_ENCODING |
                        1ull << HTTP1_H_EXPECT | 1ull << HTTP1_H_TE | 1ull << HTTP1_H_TRAILER |
                        1ull << HTTP1_H_UPGRADE | 1ull << HTTP1_H_CONNECTION |
                        1ull << HTTP1_H_KEEP_ALIVE | 1ull << HTTP1_H_HOST |
                        1ull << HTTP1_H_X_REAL_IP | 1ull << HTTP1_H_X_FORWARDED_FOR |
                        1ull << HTTP1_H_X_FORWARDED_PROTO | 1ull << HTTP1_H_X_FORWARDED_HOST |
                        1ull << HTTP1_H_FORWARDED;
    for (unsigned i = 0; i < ARRAY_LEN(own); i++)
        if (f->name.len == strlen(own[i]) && cgi_name_same(base + f->name.off, own[i], f->name.len))
            return true;
    return f->hop || left_out & 1ull << f->id || forged_field(f, base);
}

static bool add_fields(struct buf *out, const struct http1_head *h, const char *base)
{
    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        if (is_left_out(f, base))
            continue;
        if (buf_room(out) < f->name.len + f->value.len + 4)
            return false;
        buf_append(out, base + f->name.off, f->name.len);
        buf_append(out, ": ", 2);
        buf_append(out, base + f->value.off, f->value.len);
        buf_append(out, "\r\n", 2);
    }
    return true;
}

static bool add_host(struct txn *t, struct buf *out, const struct http1_head *h, const char *base)
{
    if (buf_room(out) < h->authority.len + HEAD_HOST_BYTES)
        return false;
    head_add_host(t, out, h, base);
    return true;
}

static struct buf *question(struct txn *t, const struct http1_head *h, const char *base)
{
    const struct vars v = {t, h, base, NULL};
    struct buf *out = buf_get(&t->worker->bufs, h->head_bytes > BUF_SMALL_BYTES / 4);
    if (out && vars_append(out, &t->route->guard->request.head, &v) && add_host(t, out, h, base) &&
        add_fields(out, h, base) && buf_room(out) >= 2) {
        buf_append(out, "\r\n", 2);
        return out;
    }
    buf_put(&t->worker->bufs, out);
    return NULL;
}

/* ---- the answer ---- */

static bool add_line(struct buf *out, const struct http1_header *f, const char *base)
{
    if (buf_room(out) < f->name.len + f->value.len + 4)
        return false;
    buf_append(out, base + f->name.off, f->name.len);
    buf_append(out, ": ", 2);
    buf_append(out, base + f->value.off, f->value.len);
    buf_append(out, "\r\n", 2);
    return true;
}

static bool is_wanted(const struct conf_auth_request *r, const struct http1_header *f,
                      const char *base)
{
    for (uint32_t i = 0; i < r->header_count; i++)
        if (strlen(r->headers[i]) == f->name.len &&
            strncasecmp(r->headers[i], base + f->name.off, f->name.len) == 0)
            return true;
    return false;
}

/* Fields of the answer that the backend gets. */
static bool keep_fields(struct txn *t, const struct http1_head *h, const char *base)
{
    for (uint32_t i = 0; i < h->count; i++) {
        if (!is_wanted(&t->route->guard->request, &h->headers[i], base))
            continue;
        if (!t->claims && !(t->claims = buf_get(&t->worker->bufs, false)))
            return false;
        if (!add_line(t->claims, &h->headers[i], base))
            return false;
    }
    return true;
}

/* A refusal goes to the client with what it needs to try again. */
static void pass_refusal(struct txn *t, const struct http1_head *h, const char *base)
{
    char fields[4096];
    size_t len = 0;
    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        bool challenge =
            f->name.len == 16 && strncasecmp(base + f->name.off, "WWW-Authenticate", 16) == 0;
        if ((!challenge && f->id != HTTP1_H_SET_COOKIE) ||
            len + f->name.len + f->value.len + 5 > sizeof fields)
            continue;
        len +=
            (size_t)snprintf(fields + len, sizeof fields - len, "%.*s: %.*s\r\n", (int)f->name.len,
                             base + f->name.off, (int)f->value.len, base + f->value.off);
    }
    fields[len] = '\0';
    t->end = "refused by the auth request";
    reply_error_with(t, h->status, http1_reason(h->status), fields);
}

static void judge(struct txn *t, const struct http1_head *h, const char *base)
{
    if (h && h->status >= 200 && h->status < 300 && keep_fields(t, h, base))
        txn_advance(t);
    else if (h && (h->status == 401 || h->status == 403))
        pass_refusal(t, h, base);
    else
        txn_fail(t, 503, "Nobody could say whether this is allowed");
}

static void on_answer(void *data, const struct http1_head *h, const char *base)
{
    struct txn *t = data;
    struct conn *c = t->conn;
    t->side = NULL;
    t->wait = NULL;
    judge(t, h, base);
    conn_continue(c);
}

static void over(struct txn *t)
{
    txn_cancel_wait(t);
    txn_fail(t, 503, "Nobody could say whether this is allowed");
}

static void cancel(struct txn *t)
{
    if (t->side)
        side_cancel(t->side);
    t->side = NULL;
}

static const struct txn_wait waiting = {over, cancel};

bool auth_request(struct txn *t, const struct http1_head *h, const char *base)
{
    const struct conf_auth_request *r = &t->route->guard->request;
    struct buf *out = question(t, h, base);
    if (out)
        t->side = side_start(t->worker, t->gen, &t->gen->pools[r->pool], out, r->timeout_ms,
                             on_answer, t);
    if (t->side)
        txn_wait(t, &waiting, r->timeout_ms + GRACE_MS);
    else
        txn_fail(t, 503, "Nobody could say whether this is allowed");
    return false;
}
