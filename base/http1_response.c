#include "base/http1_int.h"

static const char bad_status_line[] = "invalid status line";

/* SP reason-phrase, or nothing at all: origins that leave the space out are common and nothing is
 * ambiguous. */
static const char *reason_phrase(struct http1_head *h, const char *buf, const char *p,
                                 const char *end)
{
    if (p == end) {
        return NULL;
    }
    const char *reason = *p == ' ' ? p + 1 : p;
    const char *stop = *p == ' ' ? http1_scan_value(reason, end) : p;
    if (end - stop < 2) {
        return stop < end && *stop != '\r' ? http1_refuse(h, 400, bad_status_line) : NULL;
    }
    if (stop[0] != '\r' || stop[1] != '\n') {
        return http1_refuse(h, 400, bad_status_line);
    }
    h->reason = http1_span_of(buf, reason, stop);
    return stop + 2;
}

/* HTTP/1.x SP 3DIGIT [SP reason] CRLF at p: past it; NULL when incomplete or wrong. */
static const char *status_line(struct http1_head *h, const char *buf, const char *p,
                               const char *end)
{
    const char *s = http1_version(h, p, end, bad_status_line);
    if (s == NULL || end - s < 4) {
        return NULL;
    }
    if (s[0] != ' ' || s[1] < '1' || s[1] > '9' || !http1_is(s[2], HTTP1_C_DIGIT) ||
        !http1_is(s[3], HTTP1_C_DIGIT)) {
        return http1_refuse(h, 400, bad_status_line);
    }
    h->status = (uint16_t)((s[1] - '0') * 100 + (s[2] - '0') * 10 + (s[3] - '0'));
    return reason_phrase(h, buf, s + 4, end);
}

static enum http1_result start(struct http1_head *h, const char *buf, uint32_t len)
{
    if (len == 0) {
        return HTTP1_MORE;
    }
    /* The one thing judged before its line is complete: another protocol may never send a line. */
    if (buf[0] != 'H') {
        http1_refuse(h, 400, "not an HTTP response");
        return HTTP1_ERROR;
    }
    const char *next = status_line(h, buf, buf, buf + len);
    if (next == NULL) {
        return http1_line_failed(h, buf, len, bad_status_line);
    }
    h->first_line_bytes = (uint32_t)(next - buf);
    h->line_start = h->first_line_bytes;
    h->state = HTTP1_S_FIELDS;
    return HTTP1_DONE;
}

/*
 * RFC 9112 6.3 for responses. A message that has no body but announces one is from a sender whose
 * next byte cannot be trusted: the connection ends after it.
 */
static enum http1_result finish(struct http1_head *h, const char *buf, bool is_head,
                                bool is_connect)
{
    bool chunked = http1_has(h, HTTP1_H_TRANSFER_ENCODING);

    if (!http1_apply_connection(h, buf) || (chunked && !http1_apply_transfer_encoding(h, buf))) {
        return HTTP1_ERROR;
    }
    if (h->status < 200 || h->status == 204) {
        h->body = HTTP1_BODY_NONE;
        h->keep_alive = h->keep_alive && !chunked && h->content_length == 0;
    } else if (is_head || h->status == 304 || (is_connect && h->status < 300)) {
        h->body = HTTP1_BODY_NONE;
    } else if (chunked) {
        h->body = HTTP1_BODY_CHUNKED;
    } else if (http1_has(h, HTTP1_H_CONTENT_LENGTH)) {
        h->body = h->content_length > 0 ? HTTP1_BODY_LENGTH : HTTP1_BODY_NONE;
    } else {
        h->body = HTTP1_BODY_CLOSE;
        h->keep_alive = false;
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
    return r == HTTP1_DONE ? http1_fields(h, buf, len, headers_max) : r;
}

enum http1_result http1_parse_response(struct http1_head *h, const char *buf, uint32_t len,
                                       const struct http1_limits *limits, bool is_head,
                                       bool is_connect)
{
    if (h->state >= HTTP1_S_DONE) {
        return h->state == HTTP1_S_DONE ? HTTP1_DONE : HTTP1_ERROR;
    }
    uint32_t n = len < limits->head_bytes ? len : limits->head_bytes;
    enum http1_result r = advance(h, buf, n, limits->headers);
    if (r == HTTP1_DONE) {
        r = finish(h, buf, is_head, is_connect);
    }
    r = http1_conclude(h, r, len, limits);
    if (r == HTTP1_ERROR) {
        h->status = 502;
    }
    return r;
}

struct reason {
    uint16_t status;
    const char *text;
};

static const struct reason reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {510, "Not Extended"},
    {511, "Network Authentication Required"},
};

const char *http1_reason(unsigned status)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].text;
        }
    }
    return "Unknown";
}
