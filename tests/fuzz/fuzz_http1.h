/*
 * tests/fuzz/fuzz_http1.h: what the HTTP/1 fuzz targets share. The first byte of an input chooses
 * the options and the splits, the rest is the message. Invariants: the outcome does not depend on
 * the splits, every span lies inside the head, and what is accepted is free of everything that
 * base/http1.h promises to refuse.
 */
#ifndef BALLAST_TESTS_FUZZ_HTTP1_H
#define BALLAST_TESTS_FUZZ_HTTP1_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Length of the next piece: everything, one byte, or a few. */
static inline uint32_t fuzz_piece(uint32_t *seed, uint32_t left)
{
    if (*seed < 2) {
        return *seed == 0 || left == 0 ? left : 1;
    }
    *seed = (*seed * 1103515245u + 12345u) | 2;
    uint32_t n = 1 + (*seed >> 16) % 31;
    return n < left ? n : left;
}

/* A prefix at an address of its own and with nothing readable behind it. */
static inline char *fuzz_copy(const char *bytes, uint32_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    assert(copy != NULL);
    memcpy(copy, bytes, len);
    return copy;
}

static inline void fuzz_check_span(struct http1_span s, uint32_t end)
{
    assert(s.off <= end && s.len <= end - s.off);
}

static inline void fuzz_check_field(const struct http1_head *h, const struct http1_header *f,
                                    const char *buf)
{
    fuzz_check_span(f->name, h->head_bytes);
    fuzz_check_span(f->value, h->head_bytes);
    assert(f->name.off > 0 && buf[f->name.off - 1] == '\n');
    assert(http1_is_token(buf + f->name.off, f->name.len) && buf[f->name.off + f->name.len] == ':');
    assert(f->id < HTTP1_H_COUNT);
    for (uint32_t i = 0; i < f->value.len; i++) {
        uint8_t c = (uint8_t)buf[f->value.off + i];
        assert(c == '\t' || (c >= ' ' && c != 0x7f));
        assert((i > 0 && i + 1 < f->value.len) || (c != ' ' && c != '\t'));
    }
}

static inline void fuzz_check_framing(const struct http1_head *h)
{
    const uint64_t te = UINT64_C(1) << HTTP1_H_TRANSFER_ENCODING, cl = UINT64_C(1)
                                                                       << HTTP1_H_CONTENT_LENGTH;

    assert((h->present & te) == 0 || (h->present & cl) == 0);
    assert(h->body != HTTP1_BODY_CHUNKED || ((h->present & te) != 0 && h->minor == 1));
    assert(h->body != HTTP1_BODY_LENGTH || ((h->present & cl) != 0 && h->content_length > 0));
    assert(h->content_length <= INT64_MAX);
    assert(!h->upgrade || (h->present & UINT64_C(1) << HTTP1_H_UPGRADE) != 0);
}

static inline void fuzz_check_head(const struct http1_head *h, const char *buf, uint32_t len,
                                   const struct http1_limits *limits)
{
    assert(h->head_bytes <= len && h->head_bytes <= limits->head_bytes && h->head_bytes >= 4);
    assert(memcmp(buf + h->head_bytes - 4, "\r\n\r\n", 4) == 0);
    assert(h->count <= limits->headers && h->error == NULL && h->minor <= 1);
    fuzz_check_span(h->method, h->head_bytes);
    fuzz_check_span(h->target, h->head_bytes);
    fuzz_check_span(h->path, h->head_bytes);
    fuzz_check_span(h->query, h->head_bytes);
    fuzz_check_span(h->authority, h->head_bytes);
    fuzz_check_span(h->reason, h->head_bytes);
    for (uint32_t i = 0; i < h->count; i++) {
        fuzz_check_field(h, &h->headers[i], buf);
    }
    fuzz_check_framing(h);
}

/* The same results, parser state apart; nothing is promised before the head is complete. */
static inline void fuzz_check_same(const struct http1_head *a, const struct http1_head *b,
                                   enum http1_result result)
{
    if (result == HTTP1_ERROR) {
        assert(a->status == b->status && a->error == b->error);
    }
    if (result != HTTP1_DONE) {
        return;
    }
    assert(memcmp(a, b, offsetof(struct http1_head, scanned)) == 0);
    assert(memcmp(a->headers, b->headers, a->count * sizeof(a->headers[0])) == 0);
}

#endif
