/*
 * tests/unit/base/http1_feed.h: feeds the HTTP/1 parsers in pieces, for the tests of base/http1.h.
 *
 * A head is fed as a growing prefix in a buffer of exactly that size and at a new address each
 * time, so a read beyond the end, or a pointer kept from an earlier call, is an error that
 * AddressSanitizer sees.
 */
#ifndef BALLAST_TESTS_HTTP1_FEED_H
#define BALLAST_TESTS_HTTP1_FEED_H

#include <stdlib.h>
#include <string.h>

#include "base/http1.h"
#include "tests/unit/harness.h"

struct feed {
    bool response, is_head, is_connect;
    struct http1_limits limits;
    unsigned pieces; /* 0: whole; 1: byte by byte; else the seed of random pieces */
};

struct outcome {
    enum http1_result result; /* of the whole message */
    unsigned status;          /* to answer, when refused */
    const char *error;
    uint64_t payload_bytes;
    uint64_t payload_sum; /* of the payload bytes, by order */
    uint64_t consumed;
    struct http1_head head;
};

static const struct http1_limits feed_limits = {.head_bytes = 32768, .headers = 128};

static unsigned feed_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

static uint32_t feed_piece(unsigned *seed, uint32_t left)
{
    if (*seed < 2) {
        return *seed == 0 ? left : 1;
    }
    uint32_t n = 1 + feed_random(seed) % 23;
    return n < left ? n : left;
}

static enum http1_result feed_once(struct http1_head *h, const struct feed *f, const char *bytes,
                                   uint32_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    CHECK(copy != NULL);
    memcpy(copy, bytes, len);
    enum http1_result r =
        f->response ? http1_parse_response(h, copy, len, &f->limits, f->is_head, f->is_connect)
                    : http1_parse_request(h, copy, len, &f->limits);
    free(copy);
    return r;
}

static enum http1_result feed_head(struct http1_head *h, const struct feed *f, const char *bytes,
                                   uint32_t len)
{
    unsigned seed = f->pieces;
    uint32_t at = 0;
    enum http1_result r = HTTP1_MORE;

    http1_head_reset(h);
    while (r == HTTP1_MORE && at < len) {
        at += feed_piece(&seed, len - at);
        r = feed_once(h, f, bytes, at);
    }
    return r;
}

/* One piece, to its end: the parser's own pieces end at each run of payload. */
static enum http1_result feed_chunk_piece(struct http1_chunked *c, const char *bytes, uint32_t len,
                                          struct outcome *o)
{
    char *copy = malloc(len);
    uint32_t at = 0, consumed;
    struct http1_span run;
    enum http1_result r;

    CHECK(copy != NULL);
    memcpy(copy, bytes, len);
    do {
        r = http1_chunked_step(c, copy + at, len - at, &consumed, &run);
        CHECK(r == HTTP1_ERROR || (consumed <= len - at && run.off + run.len <= consumed));
        for (uint32_t i = 0; r != HTTP1_ERROR && i < run.len; i++) {
            o->payload_sum = o->payload_sum * 31 + (uint8_t)copy[at + run.off + i];
            o->payload_bytes++;
        }
        at += r != HTTP1_ERROR ? consumed : 0;
    } while (r == HTTP1_MORE && consumed > 0);
    CHECK(r != HTTP1_MORE || at == len);
    o->consumed += at;
    free(copy);
    return r;
}

static enum http1_result feed_chunked(const char *bytes, uint32_t len, unsigned pieces,
                                      struct outcome *o)
{
    struct http1_chunked c;
    uint32_t at = 0;
    enum http1_result r = HTTP1_MORE;

    http1_chunked_reset(&c);
    while (r == HTTP1_MORE && at < len) {
        uint32_t n = feed_piece(&pieces, len - at);
        r = feed_chunk_piece(&c, bytes + at, n, o);
        at += n;
    }
    return r;
}

/* A whole message: head and, when it is chunked or counted, body. */
static struct outcome feed_message(const struct feed *f, const char *bytes, uint32_t len)
{
    static struct outcome o;

    memset(&o, 0, sizeof(o));
    o.result = feed_head(&o.head, f, bytes, len);
    o.status = o.result == HTTP1_ERROR ? o.head.status : 0;
    o.error = o.head.error;
    if (o.result != HTTP1_DONE) {
        return o;
    }
    uint32_t at = o.head.head_bytes;
    if (o.head.body == HTTP1_BODY_CHUNKED) {
        o.result = feed_chunked(bytes + at, len - at, f->pieces, &o);
        o.status = o.result == HTTP1_ERROR ? 400 : 0;
    } else if (o.head.body == HTTP1_BODY_LENGTH) {
        o.payload_bytes = len - at < o.head.content_length ? len - at : o.head.content_length;
        o.result = o.payload_bytes < o.head.content_length ? HTTP1_MORE : HTTP1_DONE;
    }
    return o;
}

__attribute__((unused)) static void feed_check_span(struct http1_span a, struct http1_span b)
{
    CHECK_EQ(a.off, b.off);
    CHECK_EQ(a.len, b.len);
}

/* Everything that a caller may read of a parsed head is the same. */
static void feed_check_same_head(const struct http1_head *a, const struct http1_head *b)
{
    CHECK_EQ(a->status, b->status);
    CHECK_STR(a->error, b->error);
    if (a->error != NULL) {
        return;
    }
    feed_check_span(a->method, b->method);
    feed_check_span(a->target, b->target);
    feed_check_span(a->path, b->path);
    feed_check_span(a->query, b->query);
    feed_check_span(a->authority, b->authority);
    feed_check_span(a->reason, b->reason);
    CHECK_EQ(a->minor, b->minor);
    CHECK_EQ(a->body, b->body);
    CHECK_EQ(a->keep_alive, b->keep_alive);
    CHECK_EQ(a->upgrade, b->upgrade);
    CHECK_EQ(a->expect_continue, b->expect_continue);
    CHECK_EQ(a->content_length, b->content_length);
    CHECK_EQ(a->head_bytes, b->head_bytes);
    CHECK_EQ(a->first_line_bytes, b->first_line_bytes);
    CHECK_EQ(a->present, b->present);
    CHECK_EQ(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        feed_check_span(a->headers[i].name, b->headers[i].name);
        feed_check_span(a->headers[i].value, b->headers[i].value);
        CHECK_EQ(a->headers[i].id, b->headers[i].id);
        CHECK_EQ(a->headers[i].hop, b->headers[i].hop);
    }
}

/* Feeds whole, byte by byte and in random pieces; the outcome must be one and the same. */
static struct outcome feed_every_way(struct feed f, const char *bytes, uint32_t len)
{
    static struct outcome whole, other;

    f.pieces = 0;
    whole = feed_message(&f, bytes, len);
    for (f.pieces = 1; f.pieces < 14; f.pieces++) {
        other = feed_message(&f, bytes, len);
        CHECK_EQ(whole.result, other.result);
        CHECK_EQ(whole.status, other.status);
        CHECK_EQ(whole.payload_bytes, other.payload_bytes);
        CHECK_EQ(whole.payload_sum, other.payload_sum);
        if (whole.result == HTTP1_DONE) {
            CHECK_EQ(whole.consumed, other.consumed);
        }
        if (whole.head.head_bytes > 0 || whole.error != NULL) {
            feed_check_same_head(&whole.head, &other.head);
        }
    }
    return whole;
}

__attribute__((unused)) static struct outcome feed_request(const char *text)
{
    return feed_every_way((struct feed){.limits = feed_limits}, text, (uint32_t)strlen(text));
}

__attribute__((unused)) static struct outcome feed_response(const char *text)
{
    return feed_every_way((struct feed){.limits = feed_limits, .response = true}, text,
                          (uint32_t)strlen(text));
}

/* Is this span of the text exactly `want`? */
__attribute__((unused)) static bool feed_span_is(const char *text, struct http1_span s,
                                                 const char *want)
{
    return s.len == strlen(want) && memcmp(text + s.off, want, s.len) == 0;
}

#endif
