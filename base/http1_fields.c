#include "base/http1_int.h"

/* RFC 9110 7.6.1: connection-specific whether or not Connection names them. */
#define HOP_OWN                                                                                    \
    (HTTP1_BIT(HTTP1_H_CONNECTION) | HTTP1_BIT(HTTP1_H_KEEP_ALIVE) |                               \
     HTTP1_BIT(HTTP1_H_PROXY_CONNECTION) | HTTP1_BIT(HTTP1_H_TE) |                                 \
     HTTP1_BIT(HTTP1_H_TRANSFER_ENCODING) | HTTP1_BIT(HTTP1_H_UPGRADE))

/* Fields that are looked at when their line is complete. */
#define AT_ONCE                                                                                    \
    (HTTP1_BIT(HTTP1_H_HOST) | HTTP1_BIT(HTTP1_H_CONTENT_LENGTH) | HTTP1_BIT(HTTP1_H_EXPECT))

static const char bad_name[] = "invalid header name";

/* Host means nothing in a response. An authority from the target is there already and wins (RFC
 * 9112 3.2.2). */
static bool apply_host(struct http1_head *h, const char *buf, const struct http1_header *f)
{
    if (h->method.len == 0) {
        return true;
    }
    if (http1_has(h, HTTP1_H_HOST)) {
        http1_refuse(h, 400, "more than one Host");
        return false;
    }
    if (!http1_host_valid(buf + f->value.off, f->value.len, false)) {
        http1_refuse(h, 400, "invalid Host");
        return false;
    }
    if (h->authority.len == 0) {
        h->authority = f->value;
    }
    return true;
}

static bool apply_length(struct http1_head *h, const char *buf, const struct http1_header *f)
{
    if (http1_has(h, HTTP1_H_CONTENT_LENGTH)) {
        http1_refuse(h, 400, "more than one Content-Length");
        return false;
    }
    if (!http1_read_length(buf + f->value.off, f->value.len, &h->content_length)) {
        http1_refuse(h, 400, "invalid Content-Length");
        return false;
    }
    return true;
}

static bool apply_at_once(struct http1_head *h, const char *buf, const struct http1_header *f)
{
    switch (f->id) {
    case HTTP1_H_HOST: return apply_host(h, buf, f);
    case HTTP1_H_CONTENT_LENGTH: return apply_length(h, buf, f);
    default:
        if (h->minor > 0 && f->value.len == 12 && http1_is_token(buf + f->value.off, 12) &&
            HTTP1_TOKEN_IS(buf + f->value.off, 12, "100-continue")) {
            h->expect_continue = true;
        }
        return true;
    }
}

static bool store(struct http1_head *h, const char *buf, const char *end, struct http1_span name,
                  struct http1_span value)
{
    struct http1_header *f = &h->headers[h->count];

    f->name = name;
    f->value = value;
    f->id = http1_name_id(buf + name.off, name.len, end);
    f->hop = ((HOP_OWN >> f->id) & 1) != 0;
    if (((AT_ONCE >> f->id) & 1) != 0 && !apply_at_once(h, buf, f)) {
        return false;
    }
    h->present |= HTTP1_BIT(f->id) & ~HTTP1_BIT(HTTP1_H_OTHER);
    h->count++;
    return true;
}

/* One field line at p: past its CRLF; NULL when it is incomplete (no error noted) or wrong. */
static const char *field_line(struct http1_head *h, const char *buf, const char *p, const char *end,
                              uint32_t headers_max)
{
    const char *colon = http1_scan_name(p, end);
    if (colon == end) {
        return NULL;
    }
    if (*colon != ':' || colon == p) {
        return http1_refuse(h, 400, bad_name);
    }
    const char *value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    const char *stop = http1_scan_value(value, end);
    if (end - stop < 2) {
        return stop < end && *stop != '\r' ? http1_refuse(h, 400, "invalid header value") : NULL;
    }
    if (stop[0] != '\r' || stop[1] != '\n') {
        return http1_refuse(h, 400, "invalid header value");
    }
    if (h->count >= headers_max) {
        return http1_refuse(h, 431, "too many headers");
    }
    const char *value_end = stop;
    while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t')) {
        value_end--;
    }
    if (!store(h, buf, end, http1_span_of(buf, p, colon), http1_span_of(buf, value, value_end))) {
        return NULL;
    }
    return stop + 2;
}

enum http1_result http1_fields(struct http1_head *h, const char *buf, uint32_t len,
                               uint32_t headers_max)
{
    const char *end = buf + len, *p = buf + h->line_start;
    uint32_t max = headers_max < HTTP1_HEADERS_MAX ? headers_max : HTTP1_HEADERS_MAX;

    while (end - p >= 2) {
        if (p[0] == '\r' && p[1] == '\n') {
            h->head_bytes = (uint32_t)(p + 2 - buf);
            return HTTP1_DONE;
        }
        const char *next = field_line(h, buf, p, end, max);
        if (next == NULL) {
            break;
        }
        p = next;
        h->line_start = (uint32_t)(p - buf);
    }
    return http1_line_failed(h, buf, len, bad_name);
}
