#include "base/http1_int.h"

/* RFC 9110 7.6.1: connection-specific whether or not Connection names them. */
#define HOP_OWN                                                                                    \
    (HTTP1_BIT(HTTP1_H_CONNECTION) | HTTP1_BIT(HTTP1_H_KEEP_ALIVE) |                               \
     HTTP1_BIT(HTTP1_H_PROXY_CONNECTION) | HTTP1_BIT(HTTP1_H_TE) |                                 \
     HTTP1_BIT(HTTP1_H_TRANSFER_ENCODING) | HTTP1_BIT(HTTP1_H_UPGRADE))

/* Fields that are looked at when their line is complete. */
#define AT_ONCE                                                                                    \
    (HTTP1_BIT(HTTP1_H_HOST) | HTTP1_BIT(HTTP1_H_CONTENT_LENGTH) | HTTP1_BIT(HTTP1_H_EXPECT) |     \
     HTTP1_BIT(HTTP1_H_CONNECTION))

static const char bad_name[] = "invalid header name", bad_value[] = "invalid header value";

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
    case HTTP1_H_CONNECTION:
        h->connection |= http1_connection_options(buf + f->value.off, f->value.len);
        return true;
    default:
        if (h->minor > 0 && HTTP1_TOKEN_IS(buf + f->value.off, f->value.len, "100-continue")) {
            h->expect_continue = true;
        }
        return true;
    }
}

#ifdef __SSE2__
/*
 * A name of at most 15 letters, digits and '-': found, checked and looked up in one register. Its
 * end, or NULL when the name is not of that kind (or is not a name at all).
 */
static inline const char *usual_name(const char *p, uint8_t *id)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i folded = _mm_or_si128(v, _mm_set1_epi8(0x20));
    __m128i letter = _mm_sub_epi8(folded, _mm_set1_epi8('a'));
    __m128i digit = _mm_sub_epi8(v, _mm_set1_epi8('0'));
    letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(25)), letter);
    digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
    __m128i dash = _mm_cmpeq_epi8(v, _mm_set1_epi8('-'));
    unsigned usual = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(letter, digit), dash));
    unsigned len = (unsigned)__builtin_ctz(~usual);
    if (len == 0 || len > 15 || p[len] != ':') {
        return NULL;
    }
    uint8_t slot = http1_name_slots[HTTP1_NAME_SLOT(len, (uint8_t)*p | 0x20u)];
    const struct http1_name *n = &http1_names[slot];
    __m128i want = _mm_loadu_si128((const __m128i *)(const void *)n->text);
    unsigned same = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(folded, want));
    *id = n->len == len && (~same & ((1u << len) - 1)) == 0 ? slot : HTTP1_H_OTHER;
    return p + len;
}
#endif

/* The name at p and its id: its end, which is a colon; NULL when it is incomplete (no error noted)
 * or wrong. */
static inline const char *field_name(struct http1_head *h, const char *p, const char *end,
                                     uint8_t *id)
{
#ifdef __SSE2__
    if (end - p >= 16) {
        const char *usual = usual_name(p, id);
        if (LIKELY(usual != NULL)) {
            return usual;
        }
    }
#endif
    const char *colon = http1_scan_token(p, end);
    if (colon == end) {
        return NULL;
    }
    if (*colon != ':' || colon == p) {
        return http1_refuse(h, 400, bad_name);
    }
    *id = http1_name_id(p, (size_t)(colon - p));
    return colon;
}

/* The value at p, up to its CRLF: where the CR is; NULL when it is incomplete (no error noted) or
 * wrong. */
static inline const char *field_value(struct http1_head *h, const char *p, const char *end)
{
    const char *stop = http1_scan_value(p, end);

    if (end - stop < 2) {
        return stop < end && *stop != '\r' ? http1_refuse(h, 400, bad_value) : NULL;
    }
    return stop[0] == '\r' && stop[1] == '\n' ? stop : http1_refuse(h, 400, bad_value);
}

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* One field line at p: past its CRLF; NULL when it is incomplete (no error noted) or wrong. */
static const char *field_line(struct http1_head *h, const char *buf, const char *p, const char *end,
                              uint32_t headers_max)
{
    uint8_t id = HTTP1_H_OTHER;
    const char *colon = field_name(h, p, end, &id);
    if (colon == NULL) {
        return NULL;
    }
    const char *value = colon + 1;
    while (value < end && is_blank(*value)) {
        value++;
    }
    const char *stop = field_value(h, value, end), *value_end = stop;
    if (stop == NULL) {
        return NULL;
    }
    if (h->count >= headers_max) {
        return http1_refuse(h, 431, "too many headers");
    }
    while (value_end > value && is_blank(value_end[-1])) {
        value_end--;
    }
    struct http1_header *f = &h->headers[h->count];
    f->name = http1_span_of(buf, p, colon);
    f->value = http1_span_of(buf, value, value_end);
    f->id = id;
    f->hop = ((HOP_OWN >> id) & 1) != 0;
    if (((AT_ONCE >> id) & 1) != 0 && !apply_at_once(h, buf, f)) {
        return NULL;
    }
    h->present |= HTTP1_BIT(id) & ~HTTP1_BIT(HTTP1_H_OTHER);
    h->count++;
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
