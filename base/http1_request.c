#include "base/http1_int.h"

static const char bad_version[] = "invalid HTTP version";

/* The methods that the data path asks about; any other token is as good (RFC 9110 9.1), and case
 * matters. */
static void apply_method(struct http1_head *h, const char *m)
{
    switch (h->method.len) {
    case 3:
        h->is_get = memcmp(m, "GET", 3) == 0;
        h->idempotent = h->is_get || memcmp(m, "PUT", 3) == 0;
        break;
    case 4:
        h->is_head = memcmp(m, "HEAD", 4) == 0;
        h->idempotent = h->is_head;
        break;
    case 5: h->idempotent = memcmp(m, "TRACE", 5) == 0; break;
    case 6: h->idempotent = memcmp(m, "DELETE", 6) == 0; break;
    case 7:
        h->is_connect = memcmp(m, "CONNECT", 7) == 0;
        h->idempotent = memcmp(m, "OPTIONS", 7) == 0;
        break;
    default: break;
    }
}

static bool is_options(const struct http1_head *h, const char *buf)
{
    return h->method.len == 7 && memcmp(buf + h->method.off, "OPTIONS", 7) == 0;
}

static void split_path(struct http1_head *h, const char *buf, const char *path, const char *end)
{
    const char *mark = memchr(path, '?', (size_t)(end - path));

    if (mark != NULL) {
        h->query = http1_span_of(buf, mark + 1, end);
        end = mark;
    }
    h->path = http1_span_of(buf, path, end);
}

/* http://authority/path; the scheme in any case. User information is refused: it only serves to
 * deceive (RFC 9110 4.2.4). */
static bool absolute_form(struct http1_head *h, const char *buf, const char *t, const char *end)
{
    size_t len = (size_t)(end - t), scheme;

    if (len > 7 && HTTP1_TOKEN_IS(t, 4, "http") && memcmp(t + 4, "://", 3) == 0) {
        scheme = 7;
    } else if (len > 8 && HTTP1_TOKEN_IS(t, 5, "https") && memcmp(t + 5, "://", 3) == 0) {
        scheme = 8;
    } else {
        return false;
    }
    const char *host = t + scheme, *path = host;
    while (path < end && *path != '/' && *path != '?') {
        path++;
    }
    if (!http1_host_valid(host, (size_t)(path - host), false)) {
        return false;
    }
    h->authority = http1_span_of(buf, host, path);
    h->absolute_form = true;
    split_path(h, buf, path, end);
    return true;
}

/* RFC 9112 3.2: which of the four forms, and is it the one that this method takes? */
static bool apply_target(struct http1_head *h, const char *buf)
{
    const char *t = buf + h->target.off, *end = t + h->target.len;

    h->path = (struct http1_span){h->target.off, 0};
    h->query = h->path;
    h->authority = h->path;
    if (h->is_connect) {
        h->authority = h->target;
        return http1_host_valid(t, h->target.len, true);
    }
    if (*t == '/') {
        split_path(h, buf, t, end);
        return true;
    }
    if (*t == '*') {
        return h->target.len == 1 && is_options(h, buf);
    }
    return absolute_form(h, buf, t, end);
}

/* method SP target SP HTTP/1.x CRLF at p: past it; NULL when incomplete or wrong. */
static const char *request_line(struct http1_head *h, const char *buf, const char *p,
                                const char *end)
{
    const char *space = http1_scan_token(p, end);
    if (space == end) {
        return NULL;
    }
    if (*space != ' ' || space == p) {
        return http1_refuse(h, 400, "invalid method");
    }
    const char *target = space + 1, *stop = http1_scan_target(target, end);
    if (stop == end) {
        return NULL;
    }
    if (*stop != ' ' || stop == target) {
        return http1_refuse(h, 400, "invalid request target");
    }
    const char *after = http1_version(h, stop + 1, end, bad_version);
    if (after == NULL || end - after < 2) {
        return NULL;
    }
    if (after[0] != '\r' || after[1] != '\n') {
        return http1_refuse(h, 400, bad_version);
    }
    h->method = http1_span_of(buf, p, space);
    h->target = http1_span_of(buf, target, stop);
    h->first_line_bytes = (uint32_t)(after + 2 - p);
    return after + 2;
}

/* One empty line before the request is tolerated (RFC 9112 2.2). False: too early to tell. */
static bool skip_empty_line(struct http1_head *h, const char *buf, uint32_t len)
{
    if (len > 0 && buf[0] != '\r') {
        return true;
    }
    if (len >= 2 && h->line_start == 0 && buf[1] == '\n') {
        h->line_start = 2;
    }
    return len >= 2 && len > h->line_start;
}

static enum http1_result start(struct http1_head *h, const char *buf, uint32_t len)
{
    if (!skip_empty_line(h, buf, len)) {
        return HTTP1_MORE;
    }
    const char *p = buf + h->line_start, *end = buf + len;
    /* The one thing judged before its line is complete: another protocol (a TLS hello) may never
     * send a line. */
    if (!http1_is(*p, HTTP1_C_TOKEN)) {
        http1_refuse(h, 400, "not an HTTP request");
        return HTTP1_ERROR;
    }
    const char *next = request_line(h, buf, p, end);
    if (next == NULL) {
        return http1_line_failed(h, buf, len, bad_version);
    }
    apply_method(h, buf + h->method.off);
    if (!apply_target(h, buf)) {
        http1_refuse(h, 400, "invalid request target");
        return HTTP1_ERROR;
    }
    h->line_start = (uint32_t)(next - buf);
    h->state = HTTP1_S_FIELDS;
    return HTTP1_DONE;
}

/* RFC 9112 6.3 for requests: no length means no body. */
static enum http1_result finish(struct http1_head *h, const char *buf)
{
    if (!http1_has(h, HTTP1_H_HOST) && h->minor > 0) {
        http1_refuse(h, 400, "no Host");
        return HTTP1_ERROR;
    }
    if (!http1_apply_connection(h, buf)) {
        return HTTP1_ERROR;
    }
    if (http1_has(h, HTTP1_H_TRANSFER_ENCODING)) {
        if (!http1_apply_transfer_encoding(h, buf)) {
            return HTTP1_ERROR;
        }
        h->body = HTTP1_BODY_CHUNKED;
    } else {
        h->body = h->content_length > 0 ? HTTP1_BODY_LENGTH : HTTP1_BODY_NONE;
    }
    return HTTP1_DONE;
}

static enum http1_result advance(struct http1_head *h, const char *buf, uint32_t len,
                                 uint32_t headers_max)
{
    enum http1_result r = HTTP1_DONE;

    if (http1_line_pending(h, buf, len)) {
        return HTTP1_MORE;
    }
    if (h->state == HTTP1_S_START) {
        r = start(h, buf, len);
    }
    if (r == HTTP1_DONE) {
        r = http1_fields(h, buf, len, headers_max);
    }
    return r == HTTP1_DONE ? finish(h, buf) : r;
}

enum http1_result http1_parse_request(struct http1_head *h, const char *buf, uint32_t len,
                                      const struct http1_limits *limits)
{
    if (h->state >= HTTP1_S_DONE) {
        return h->state == HTTP1_S_DONE ? HTTP1_DONE : HTTP1_ERROR;
    }
    uint32_t n = len < limits->head_bytes ? len : limits->head_bytes;
    return http1_conclude(h, advance(h, buf, n, limits->headers), len, limits);
}
