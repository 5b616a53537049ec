/* worker/reply.c */
#include "worker/reply.h"

#include <stdio.h>
#include "worker/conn.h"
#include "worker/rate_limit.h"
#include "worker/relay.h"
#include "worker/txn.h"

#define RETRY_AFTER_S                                                                              \
    1 /* told with a 503: backends come back at the pace of health checks, not of people */

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

static int format_head(const struct txn *t, unsigned status, int body_len, char *out, size_t cap)
{
    char extra[RATE_LIMIT_FIELDS_BYTES] = "";
    if (status == 503)
        snprintf(extra, sizeof extra, "Retry-After: %d\r\n", RETRY_AFTER_S);
    if (status == 405)
        snprintf(extra, sizeof extra, "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n");
    if (status == 429)
        rate_limit_fields(t, extra);
    const char *connection = t->client_close ? "Connection: close\r\n"
                             : t->req_http10 ? "Connection: keep-alive\r\n"
                                             : "";
    return snprintf(out, cap,
                    "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nCache-Control: "
                    "no-store\r\n%s%s\r\n",
                    status, http1_reason(status),
                    t->req_wants_html ? "text/html; charset=utf-8" : "application/json", body_len,
                    extra, connection);
}

void reply_error(struct txn *t, unsigned status, const char *text)
{
    struct worker *w = t->worker;
    char body[512];
    buf_put(&w->bufs, t->rbuf);
    t->rbuf = NULL;
    t->res_ready = 0;
    if (!t->head_out)
        t->head_out = buf_get(&w->bufs, false);
    if (!t->head_out) {
        conn_close(t->conn, "out of memory");
        return;
    }
    t->head_out->start = t->head_out->end = 0;
    int body_len = format_body(t, status, text, body, sizeof body);
    int head_len = format_head(t, status, body_len, t->head_out->data, t->head_out->cap);
    t->head_out->end = (uint32_t)head_len;
    if (!t->req_is_head)
        buf_append(t->head_out, body, (size_t)body_len);
    t->status = (uint16_t)status;
    t->res_done = true;
    txn_set_state(t, TXN_REPLY);
    relay_response_push(t);
}
