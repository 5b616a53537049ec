/*
 * base/http1_int.h: what the files of the HTTP/1 parser share. Private to base/http1*.c.
 *
 * A line is judged only once its LF is in the buffer, and a head only by the bytes inside the
 * limit, so the outcome is a function of the bytes and never of how they were split. The parser
 * first tries a line in one pass; when the line turns out to be incomplete it remembers how far it
 * looked, and the next call only looks for LF from there. So no byte is examined more than three
 * times.
 */
#ifndef BALLAST_BASE_HTTP1_INT_H
#define BALLAST_BASE_HTTP1_INT_H

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/http1.h"

/* Character classes (RFC 9110 5.6.2, RFC 3986). */
enum http1_class {
    HTTP1_C_TOKEN = 1,   /* tchar */
    HTTP1_C_VALUE = 2,   /* field-vchar, obs-text, SP, HTAB */
    HTTP1_C_TARGET = 4,  /* 0x21-0x7e but '#' */
    HTTP1_C_REGNAME = 8, /* reg-name of a host, '%' included */
    HTTP1_C_HEX = 16,
    HTTP1_C_DIGIT = 32,
    HTTP1_C_ALPHA = 64
};
extern const uint8_t http1_class[256];

static inline bool http1_is(char c, uint8_t classes)
{
    return (http1_class[(uint8_t)c] & classes) != 0;
}

enum http1_state { HTTP1_S_START, HTTP1_S_FIELDS, HTTP1_S_DONE, HTTP1_S_FAILED };

/* Bits of http1_head.connection: the options of all Connection fields together. */
enum http1_connection {
    HTTP1_CONN_CLOSE = 1,
    HTTP1_CONN_KEEP_ALIVE = 2,
    HTTP1_CONN_UPGRADE = 4,
    HTTP1_CONN_NAMES = 8 /* other tokens: names of fields */
};

/* Notes why the message is refused; NULL, so that a line parser can return it. */
const char *http1_refuse(struct http1_head *h, uint16_t status, const char *why);

/* No LF has arrived since the last look at an incomplete line: nothing to do yet. */
static inline bool http1_line_pending(struct http1_head *h, const char *buf, uint32_t len)
{
    if (h->scanned <= h->line_start) {
        return false;
    }
    if (len > h->scanned && memchr(buf + h->scanned, '\n', len - h->scanned) != NULL) {
        return false;
    }
    h->scanned = len;
    return true;
}

/*
 * The line at line_start could not be parsed: is it incomplete, or wrong? A complete line that ran
 * out of bytes is refused with the text too_short, which must be the text that more bytes behind
 * the line would have led to.
 */
enum http1_result http1_line_failed(struct http1_head *h, const char *buf, uint32_t len,
                                    const char *too_short);

/* The shared ends of both parsers: take the result of a pass, apply the limit, keep the state. */
enum http1_result http1_conclude(struct http1_head *h, enum http1_result r, uint32_t len,
                                 const struct http1_limits *limits);

/* "HTTP/1.x" at p: past it; NULL when incomplete, or refused with the text why. */
const char *http1_version(struct http1_head *h, const char *p, const char *end, const char *why);

/* Parses field lines from line_start up to and including the empty line. */
enum http1_result http1_fields(struct http1_head *h, const char *buf, uint32_t len,
                               uint32_t headers_max);

/*
 * What a complete head says as a whole; false: refused. Connection decides keep_alive and upgrade
 * and marks the fields that it names. Transfer-Encoding must be a single chunked.
 */
bool http1_apply_connection(struct http1_head *h, const char *buf);
bool http1_apply_transfer_encoding(struct http1_head *h, const char *buf);

/* Field values. */
uint8_t http1_connection_options(const char *s, size_t len);
bool http1_host_valid(const char *s, size_t len, bool need_port);
bool http1_read_length(const char *s, size_t len, uint64_t *out);

/*
 * Compares with a lower-case literal of letters, digits and '-', ignoring case; the bytes must be
 * of class TOKEN or VALUE. Setting bit 5 folds case exactly: of those bytes only a letter's two
 * cases become that letter, and only '-' itself becomes '-'.
 */
static inline bool http1_token_is(const char *s, size_t len, const char *lower, size_t lower_len)
{
    if (len != lower_len) {
        return false;
    }
    for (; len >= 8; len -= 8, s += 8, lower += 8) {
        uint64_t a, b;
        memcpy(&a, s, 8);
        memcpy(&b, lower, 8);
        if ((a | UINT64_C(0x2020202020202020)) != b) {
            return false;
        }
    }
    for (size_t i = 0; i < len; i++) {
        if ((s[i] | 0x20) != lower[i]) {
            return false;
        }
    }
    return true;
}
#define HTTP1_TOKEN_IS(s, len, lit) http1_token_is((s), (len), (lit), sizeof(lit) - 1)

/* One element of a comma-separated list (RFC 9110 5.6.1), white space trimmed; false at the end.
 * Empty elements are skipped. */
bool http1_list_next(const char **p, const char *end, const char **item, size_t *item_len);

/* Same name in any case; both of the same length. */
bool http1_same_name(const char *a, const char *b, size_t len);

/* The names that have an id: lower case, padded so that a comparison may read a whole vector. */
struct http1_name {
    char text[24];
    uint8_t len;
};
#define HTTP1_NAME_MAX_BYTES        19
#define HTTP1_NAME_SLOTS            128
#define HTTP1_NAME_SLOT(len, first) (((len) + (first)*5) & (HTTP1_NAME_SLOTS - 1))
extern const struct http1_name http1_names[HTTP1_H_COUNT];
extern const uint8_t http1_name_slots[HTTP1_NAME_SLOTS];

#define HTTP1_BIT(id) (UINT64_C(1) << (id))

static inline bool http1_has(const struct http1_head *h, enum http1_header_id id)
{
    return ((h->present >> id) & 1) != 0;
}

/* First byte in [p, end) that may not stand in a field value or reason phrase, or end. */
static inline const char *http1_scan_value(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i ctl = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'), del = _mm_set1_epi8(0x7f);
    while (end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, ctl), v);
        __m128i bad =
            _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(v, tab), low), _mm_cmpeq_epi8(v, del));
        int mask = _mm_movemask_epi8(bad);
        if (mask != 0) {
            return p + __builtin_ctz((unsigned)mask);
        }
        p += 16;
    }
#endif
    while (p < end && http1_is(*p, HTTP1_C_VALUE)) {
        p++;
    }
    return p;
}

/* First byte in [p, end) that may not stand in a request target, or end. */
static inline const char *http1_scan_target(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i low = _mm_set1_epi8(0x21), del = _mm_set1_epi8(0x7f), hash = _mm_set1_epi8('#');
    while (end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        /* signed: 0x80-0xff are below 0x21 as well */
        __m128i bad = _mm_or_si128(_mm_cmplt_epi8(v, low), _mm_cmpeq_epi8(v, del));
        int mask = _mm_movemask_epi8(_mm_or_si128(bad, _mm_cmpeq_epi8(v, hash)));
        if (mask != 0) {
            return p + __builtin_ctz((unsigned)mask);
        }
        p += 16;
    }
#endif
    while (p < end && http1_is(*p, HTTP1_C_TARGET)) {
        p++;
    }
    return p;
}

/* First byte in [p, end) that may not stand in a token, or end. */
static inline const char *http1_scan_token(const char *p, const char *end)
{
    while (p < end && http1_is(*p, HTTP1_C_TOKEN)) {
        p++;
    }
    return p;
}

static inline struct http1_span http1_span_of(const char *buf, const char *from, const char *to)
{
    return (struct http1_span){(uint32_t)(from - buf), (uint32_t)(to - from)};
}

#endif
