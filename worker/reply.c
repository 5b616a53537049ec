/* worker/reply.c */
#include "worker/reply.h"

#include <stdio.h>
#include <string.h>
#include "conf/compress.h"
#include "conf/route.h"
#include "worker/compress.h"
#include "worker/conn.h"
#include "worker/edits.h"
#include "worker/head.h"
#include "worker/rate_limit.h"
#include "worker/relay.h"
#include "worker/txn.h"

#define HEAD_BYTES 512u /* of what every answer has, at most */
#define RETRY_AFTER_S                                                                              \
    1 /* told with a 503: backends come back at the pace of health checks, not of people */

/* ---- the head ---- */

/* The fields of the configuration that this answer gets; NULL: none. */
static const struct conf_template *added_fields(const struct txn *t, const struct reply *r)
{
    const struct conf_edits *e = t->route ? t->route->response_edits : NULL;
    if (!e || (!r->configured && e->always.count == 0))
        return NULL;
    return r->configured ? &e->block : &e->always;
}

/* A field of our own, unless the configuration says otherwise about it. */
static void add_own(struct buf *out, const struct conf_edits *edits, const char *name,
                    const char *value)
{
    char line[320];
    if (edits && edits_drop_name(edits, name, strlen(name)))
        return;
    int n = snprintf(line, sizeof line, "%s: %s\r\n", name, value);
    buf_append(out, line, n < (int)sizeof line ? (size_t)n : sizeof line - 1);
}

static void add_length(struct buf *out, const struct reply *r)
{
    char line[40];
    if (r->status == 204 || r->status == 304)
        return;
    int n = snprintf(line, sizeof line, "Content-Length: %u\r\n", r->body_len);
    buf_append(out, line, (size_t)n);
}

static void add_text(struct buf *out, const char *text)
{
    buf_append(out, text, strlen(text));
}

/* coded: enum compress_head */
static void add_head(struct txn *t, struct buf *out, const struct reply *r, unsigned coded)
{
    char line[80];
    const struct conf_template *added = added_fields(t, r);
    const struct conf_edits *edits = added ? t->route->response_edits : NULL;
    int n = snprintf(line, sizeof line, "HTTP/1.1 %u %s\r\n", r->status, http1_reason(r->status));
    buf_append(out, line, (size_t)n);
    if (r->content_type)
        add_own(out, edits, "Content-Type", r->content_type);
    add_length(out, r);
    if (r->status >= 400)
        add_own(out, edits, "Cache-Control", "no-store");
    if (r->fields)
        buf_append(out, r->fields, r->fields_len);
    if (coded & COMPRESS_VARY && !(added && t->route->says_vary))
        add_own(out, NULL, "Vary", "Accept-Encoding");
    if (coded & COMPRESS_ENCODED)
        add_own(out, NULL, "Content-Encoding", conf_coding_name(t->coding));
    add_text(out, head_hsts(t));
    if (added)
        edits_append(t, out, added);
    if (t->client_close)
        add_text(out, "Connection: close\r\n");
    else if (t->req_http10)
        add_text(out, "Connection: keep-alive\r\n");
    add_text(out, "\r\n");
}

static uint32_t bytes_needed(const struct txn *t, const struct reply *r)
{
    const struct conf_template *added = added_fields(t, r);
    return HEAD_BYTES + r->fields_len + r->body_len + (added ? edits_bytes(t, added) : 0);
}

static bool make_room(struct txn *t, uint32_t bytes)
{
    struct buf_pool *p = &t->worker->bufs;
    buf_put(p, t->rbuf);
    t->rbuf = NULL;
    t->res_ready = 0;
    if (t->head_out)
        t->head_out->start = t->head_out->end = 0;
    return buf_reserve(p, &t->head_out, bytes);
}

static bool write_reply(struct txn *t, const struct reply *r, unsigned coded)
{
    if (!make_room(t, bytes_needed(t, r)))
        return false;
    add_head(t, t->head_out, r, coded);
    if (!t->req_is_head && r->body_len && r->status != 204 && r->status != 304)
        buf_append(t->head_out, r->body, r->body_len);
    return true;
}

/* In the coding that the client takes, where the route says so. */
static bool write_coded(struct txn *t, const struct reply *r)
{
    struct buf *body = NULL;
    struct reply as = *r;
    unsigned coded = compress_reply(t, r, &body);
    if (coded & COMPRESS_ENCODED) {
        as.body = buf_at(body);
        as.body_len = buf_len(body);
    }
    bool written = write_reply(t, &as, coded);
    buf_put(&t->worker->bufs, body);
    return written;
}

void reply_send(struct txn *t, const struct reply *r)
{
    if (!t->req_done || t->conn->draining)
        t->client_close = true;
    if (t->compressor) /* of an answer that is not given */
        compress_end(t);
    bool coded = UNLIKELY(t->route && t->route->compress);
    if (!(coded ? write_coded(t, r) : write_reply(t, r, 0))) {
        conn_close(t->conn, "out of memory");
        return;
    }
    t->status = (uint16_t)r->status;
    t->res_done = true;
    txn_set_state(t, TXN_REPLY);
    relay_response_push(t);
}

/* ---- errors ---- */

static const struct conf_error_page *find_page(const struct txn *t, unsigned status)
{
    for (uint32_t i = 0; t->route && i < t->route->page_count; i++) {
        const struct conf_error_page *p = t->route->pages[i];
        for (uint32_t s = 0; s < p->status_count; s++)
            if (status >= p->statuses[s].from && status <= p->statuses[s].to)
                return p;
    }
    return NULL;
}

static int format_body(const struct txn *t, unsigned status, const char *text, char *out,
                       size_t cap)
{
    if (t->req_wants_html)
        return snprintf(
            out, cap,
            "<!doctype html><html><head><title>%u %s</title></head><body><h1>%u %s</h1><p>%s</p>"
            "</body></html>\n",
            status, http1_reason(status), status, http1_reason(status), text);
    return snprintf(out, cap, "{\"error\":\"%s\"}\n", text);
}

static const char *usual_fields(const struct txn *t, unsigned status,
                                char out[RATE_LIMIT_FIELDS_BYTES])
{
    const size_t cap = RATE_LIMIT_FIELDS_BYTES;
    *out = '\0';
    if (status == 503)
        snprintf(out, cap, "Retry-After: %d\r\n", RETRY_AFTER_S);
    if (status == 405)
        snprintf(out, cap, "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n");
    if (status == 429)
        rate_limit_fields(t, out);
    return out;
}

void reply_error_with(struct txn *t, unsigned status, const char *text, const char *fields)
{
    char body[512];
    const struct conf_error_page *page = find_page(t, status);
    struct reply r = {.status = status, .fields = fields, .fields_len = (uint32_t)strlen(fields)};
    if (page) {
        r.content_type = page->content_type;
        r.body = page->body;
        r.body_len = page->body_len;
    } else {
        int n = format_body(t, status, text, body, sizeof body);
        r.content_type = t->req_wants_html ? "text/html; charset=utf-8" : "application/json";
        r.body = body;
        r.body_len = n < (int)sizeof body ? (uint32_t)n : sizeof body - 1;
    }
    reply_send(t, &r);
}

void reply_error(struct txn *t, unsigned status, const char *text)
{
    char fields[RATE_LIMIT_FIELDS_BYTES];
    reply_error_with(t, status, text, usual_fields(t, status, fields));
}
