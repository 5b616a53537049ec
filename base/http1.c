#include "base/http1_int.h"

/* Bits of enum http1_class for each byte; tests/unit/base/test_http1_request.c derives it again
 * from the RFC's lists. */
const uint8_t http1_class[256] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  0,  0,  0,  0,  0,  0,  /* 00 */
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  /* 10 */
    2,  15, 6,  3,  15, 15, 15, 15, 14, 14, 15, 15, 14, 15, 15, 6,  /* 20 */
    63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 6,  14, 6,  14, 6,  6,  /* 30 */
    6,  95, 95, 95, 95, 95, 95, 79, 79, 79, 79, 79, 79, 79, 79, 79, /* 40 */
    79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 6,  6,  6,  7,  15, /* 50 */
    7,  95, 95, 95, 95, 95, 95, 79, 79, 79, 79, 79, 79, 79, 79, 79, /* 60 */
    79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 79, 6,  7,  6,  15, 0,  /* 70 */
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  /* 80 */
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  /* 90 */
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  /* a0 */
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  /* b0 */
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  /* c0 */
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  /* d0 */
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  /* e0 */
    2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  /* f0 */
};

void http1_head_reset(struct http1_head *h)
{
    memset(h, 0, offsetof(struct http1_head, headers));
}

const char *http1_refuse(struct http1_head *h, uint16_t status, const char *why)
{
    h->error = why;
    h->refusal = status;
    return NULL;
}

enum http1_result http1_line_failed(struct http1_head *h, const char *buf, uint32_t len,
                                    const char *too_short)
{
    if (memchr(buf + h->line_start, '\n', len - h->line_start) != NULL) {
        if (h->error == NULL) {
            http1_refuse(h, 400, too_short);
        }
        return HTTP1_ERROR;
    }
    h->error = NULL;
    h->scanned = len;
    return HTTP1_MORE;
}

enum http1_result http1_conclude(struct http1_head *h, enum http1_result r, uint32_t len,
                                 const struct http1_limits *limits)
{
    if (r == HTTP1_MORE && len >= limits->head_bytes) {
        if (h->state == HTTP1_S_START) {
            http1_refuse(h, 414, "start line too long");
        } else {
            http1_refuse(h, 431, "head too large");
        }
        r = HTTP1_ERROR;
    }
    if (r == HTTP1_ERROR) {
        h->state = HTTP1_S_FAILED;
        h->status = h->refusal;
    } else if (r == HTTP1_DONE) {
        h->state = HTTP1_S_DONE;
    }
    return r;
}

const char *http1_version(struct http1_head *h, const char *p, const char *end, const char *why)
{
    static const char prefix[7] = "HTTP/1.";

    if (end - p < 8) {
        return NULL;
    }
    if (memcmp(p, prefix, sizeof(prefix)) != 0 || !http1_is(p[7], HTTP1_C_DIGIT)) {
        return http1_refuse(h, 400, why);
    }
    h->minor = p[7] != '0';
    return p + 8;
}

const struct http1_header *http1_find(const struct http1_head *h, enum http1_header_id id)
{
    if (id == HTTP1_H_OTHER || !http1_has(h, id)) {
        return NULL;
    }
    for (uint32_t i = 0; i < h->count; i++) {
        if (h->headers[i].id == id) {
            return &h->headers[i];
        }
    }
    return NULL;
}

bool http1_same_name(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char x = a[i], y = b[i];
        if (x != y && (!http1_is(x, HTTP1_C_ALPHA) || (x ^ y) != 0x20)) {
            return false;
        }
    }
    return true;
}

const struct http1_header *http1_find_name(const struct http1_head *h, const char *buf,
                                           const char *name, size_t name_len)
{
    if (!http1_is_token(name, name_len)) {
        return NULL;
    }
    uint8_t id = http1_name_id(name, name_len);
    if (id != HTTP1_H_OTHER) {
        return http1_find(h, id);
    }
    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        if (f->id == HTTP1_H_OTHER && f->name.len == name_len &&
            http1_same_name(buf + f->name.off, name, name_len)) {
            return f;
        }
    }
    return NULL;
}

bool http1_is_token(const char *s, size_t len)
{
    return len > 0 && http1_scan_token(s, s + len) == s + len;
}

bool http1_list_next(const char **p, const char *end, const char **item, size_t *item_len)
{
    while (*p < end && (**p == ',' || **p == ' ' || **p == '\t')) {
        (*p)++;
    }
    if (*p == end) {
        return false;
    }
    const char *from = *p, *comma = memchr(from, ',', (size_t)(end - from));
    const char *to = comma != NULL ? comma : end;
    *p = to;
    while (to[-1] == ' ' || to[-1] == '\t') {
        to--;
    }
    *item = from;
    *item_len = (size_t)(to - from);
    return true;
}
