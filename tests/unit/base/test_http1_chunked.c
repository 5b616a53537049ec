/* The chunked transfer coding (RFC 9112 7.1). */
#include "base/http1_int.h"
#include "tests/unit/base/http1_feed.h"

#define LAST "0\r\n\r\n"

/* Whole, byte by byte, at random splits and at each single split: one outcome. */
static struct outcome feed_body(const char *text, size_t len)
{
    static struct outcome whole, other;

    memset(&whole, 0, sizeof(whole));
    whole.result = feed_chunked(text, (uint32_t)len, 0, &whole);
    for (unsigned way = 1; way < 10 + len; way++) {
        memset(&other, 0, sizeof(other));
        if (way < 10) {
            other.result = feed_chunked(text, (uint32_t)len, way, &other);
        } else {
            struct http1_chunked c;
            uint32_t cut = way - 9;
            http1_chunked_reset(&c);
            other.result = feed_chunk_piece(&c, text, cut, &other);
            if (other.result == HTTP1_MORE && cut < len) {
                other.result = feed_chunk_piece(&c, text + cut, (uint32_t)len - cut, &other);
            }
        }
        CHECK_EQ(whole.result, other.result);
        if (whole.result != HTTP1_ERROR) {
            CHECK_EQ(whole.payload_bytes, other.payload_bytes);
            CHECK_EQ(whole.payload_sum, other.payload_sum);
            CHECK_EQ(whole.consumed, other.consumed);
        }
    }
    return whole;
}

static enum http1_result verdict(const char *text)
{
    fprintf(stderr, "%s\n", text);
    return feed_body(text, strlen(text)).result;
}

TEST(payload_and_end)
{
    static struct outcome o;

    o = feed_body("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nrest", 30);
    CHECK_EQ(o.result, HTTP1_DONE);
    CHECK_EQ(o.payload_bytes, 11);
    CHECK_EQ(o.consumed, 26);
    o = feed_body(LAST, 5);
    CHECK_EQ(o.result, HTTP1_DONE);
    CHECK_EQ(o.payload_bytes, 0);
}

TEST(accepted)
{
    static const char *const rows[] = {
        LAST,
        "000\r\n\r\n",
        "0000000000000000\r\n\r\n",
        "0000000000000001\r\nx\r\n" LAST,
        "a\r\n0123456789\r\n" LAST,
        "A\r\n0123456789\r\n" LAST,
        "01\r\n\r\r\n" LAST,
        "1\r\n\n\r\n" LAST,
        "1\r\n\0\r\n" LAST,
        "1;a\r\nx\r\n" LAST,
        "1;a=b\r\nx\r\n" LAST,
        "1;a;b\r\nx\r\n" LAST,
        "1;a=b;c=\"d;e\\\"f\\\\ \t\xff\";g\r\nx\r\n" LAST,
        "1; a = b ; c\t=\t\"\" ;d\r\nx\r\n" LAST,
        "1;a ;b\r\nx\r\n" LAST,
        "0;last\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
        "0\r\nX-Sum:\r\nY: a b\t\xff \r\nX-Sum: 1\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i == 8) { /* holds a NUL */
            CHECK_EQ(feed_body("1\r\n\0\r\n" LAST, 11).result, HTTP1_DONE);
        } else {
            CHECK_EQ(verdict(rows[i]), HTTP1_DONE);
        }
    }
}

TEST(refused)
{
    static const char *const rows[] = {
        "\r\n",
        ";a\r\n",
        "x\r\n",
        "g\r\n",
        " 1\r\nx\r\n",
        "\t1\r\n",
        "+1\r\nx\r\n",
        "-1\r\nx\r\n",
        "0x1\r\nx\r\n",
        "1h\r\nx\r\n",
        "1 \r\nx\r\n",
        "1\t\r\nx\r\n",
        "1 ;a\r\nx\r\n",
        "1,\r\n",
        "1\nx\r\n",
        "1\r\rx\r\n",
        "1\rx\r\n",
        "1.0\r\n",
        "1\r\nxy\r\n",
        "1\r\nx0\r\n",
        "1\r\nx\n",
        "1\r\nx\rx",
        "1\r\nx\r\r\n",
        /* too large: 2^63, 17 digits */
        "8000000000000000\r\n",
        "ffffffffffffffff\r\n",
        "10000000000000000\r\n",
        "00000000000000001\r\nx\r\n",
        /* extensions */
        "1;\r\nx\r\n",
        "1;;a\r\n",
        "1; \r\n",
        "1;a;\r\n",
        "1;=b\r\n",
        "1;a=\r\n",
        "1;a==b\r\n",
        "1;a=b=c\r\n",
        "1;a=\"b\r\n",
        "1;a=\"b\"c\r\n",
        "1;a b\r\n",
        "1;a=b c\r\n",
        "1;a=b \r\n",
        "1;a \r\n",
        "1;a=\"\" \r\n",
        "1;a\n",
        "1;a\rx",
        "1;a=\"\n\"",
        "1;a=\"\r\n\"\r\n",
        "1;a=\"\\\n\"",
        "1;a=\"\x01\"",
        "1;\x01\r\n",
        "1;a=\x80\r\n",
        "1;a\x7f\r\n",
        "1;\"a\"\r\n",
        /* trailers */
        "0\n\n",
        "0\r\n\n",
        "0\r\n\rx",
        "0\r\n\r\r\n",
        "0\r\nX\r\n",
        "0\r\n: y\r\n",
        "0\r\nX : y\r\n",
        "0\r\n X: y\r\n",
        "0\r\nX: y\r\n z\r\n",
        "0\r\nX: y\n",
        "0\r\nX: \x01\r\n",
        "0\r\nX: y\rz",
        "0\r\nX Y: z\r\n",
        "0\r\nX\xff: z\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_EQ(verdict(rows[i]), HTTP1_ERROR);
    }
    CHECK_EQ(feed_body("1;a\0\r\n", 6).result, HTTP1_ERROR);
    CHECK_EQ(feed_body("0\r\nX: \0\r\n", 9).result, HTTP1_ERROR);
}

TEST(framing_and_routing_do_not_belong_into_trailers)
{
    static const char *const rows[] = {
        "Content-Length: 5",    "content-length:", "Transfer-Encoding: chunked",
        "TRANSFER-ENCODING: x", "Host: b",         "X: y\r\nhOsT: b"};
    static const char *const near[] = {"Content-Lengthy: 5", "ontent-Length: 5", "Hos: t",
                                       "Hosts: b", "X-Host: b"};
    char text[128];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(text, sizeof text, "0\r\n%s\r\n\r\n", rows[i]);
        CHECK_EQ(verdict(text), HTTP1_ERROR);
    }
    for (size_t i = 0; i < ARRAY_LEN(near); i++) {
        snprintf(text, sizeof text, "0\r\n%s\r\n\r\n", near[i]);
        CHECK_EQ(verdict(text), HTTP1_DONE);
    }
}

TEST(incomplete)
{
    static const char *const rows[] = {"5",
                                       "5;",
                                       "5\r",
                                       "5\r\n",
                                       "5\r\nhell",
                                       "5\r\nhello",
                                       "5\r\nhello\r",
                                       "5\r\nhello\r\n",
                                       "0\r\n",
                                       "0\r\n\r",
                                       "0\r\nX",
                                       "0\r\nX: y\r\n",
                                       "7fffffffffffffff\r\nx"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_EQ(verdict(rows[i]), HTTP1_MORE);
    }
}

static enum http1_result padded(const char *before, size_t padding, const char *after, bool ended)
{
    static char text[40000];
    size_t n = strlen(before);
    struct outcome *o = calloc(1, sizeof(*o));
    enum http1_result whole, bytes;

    CHECK(o != NULL);
    memcpy(text, before, n);
    memset(text + n, 'a', padding);
    strcpy(text + n + padding, ended ? after : "");
    whole = feed_chunked(text, (uint32_t)strlen(text), 0, o);
    bytes = feed_chunked(text, (uint32_t)strlen(text), 1, o);
    free(o);
    CHECK_EQ(whole, bytes);
    return whole;
}

TEST(limit_of_a_size_line)
{
    /* "1;" and CRLF belong to the 4096 bytes */
    CHECK_EQ(padded("1;", 4092, "\r\nx\r\n" LAST, true), HTTP1_DONE);
    CHECK_EQ(padded("1;", 4093, "\r\nx\r\n" LAST, true), HTTP1_ERROR);
    CHECK_EQ(padded("1;", 4093, "", false), HTTP1_MORE);
    CHECK_EQ(padded("1;", 4095, "", false), HTTP1_ERROR);
    /* each line has its own */
    CHECK_EQ(padded("1\r\nx\r\n1;", 4092, "\r\nx\r\n" LAST, true), HTTP1_DONE);
    CHECK_EQ(padded("1;b\r\nx\r\n1;", 4093, "\r\nx\r\n" LAST, true), HTTP1_ERROR);
}

TEST(limit_of_the_trailers)
{
    /* "X:", CRLF and the last CRLF belong to the 16 KiB */
    CHECK_EQ(padded("0\r\nX:", 16384 - 6, "\r\n\r\n", true), HTTP1_DONE);
    CHECK_EQ(padded("0\r\nX:", 16384 - 5, "\r\n\r\n", true), HTTP1_ERROR);
    /* all trailers together */
    CHECK_EQ(padded("0\r\nA: b\r\nX:", 16384 - 12, "\r\n\r\n", true), HTTP1_DONE);
    CHECK_EQ(padded("0\r\nA: b\r\nX:", 16384 - 11, "\r\n\r\n", true), HTTP1_ERROR);
}

TEST(one_payload_run_per_call)
{
    const char *text = "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nnext";
    uint32_t len = (uint32_t)strlen(text), consumed;
    struct http1_span run;
    struct http1_chunked c;

    http1_chunked_reset(&c);
    CHECK_EQ(http1_chunked_step(&c, text, len, &consumed, &run), HTTP1_MORE);
    CHECK_EQ(consumed, 6);
    feed_check_span(run, (struct http1_span){3, 3});
    CHECK_EQ(http1_chunked_step(&c, text + 6, len - 6, &consumed, &run), HTTP1_MORE);
    CHECK_EQ(consumed, 7);
    feed_check_span(run, (struct http1_span){5, 2});
    CHECK_EQ(http1_chunked_step(&c, text + 13, len - 13, &consumed, &run), HTTP1_DONE);
    CHECK_EQ(consumed, 7);
    CHECK_EQ(run.len, 0);
    CHECK_EQ(http1_chunked_step(&c, text + 20, len - 20, &consumed, &run), HTTP1_DONE);
    CHECK_EQ(consumed, 0);
}

TEST(the_verdict_is_kept)
{
    struct http1_chunked c;
    struct http1_span run;
    uint32_t consumed;

    http1_chunked_reset(&c);
    CHECK_EQ(http1_chunked_step(&c, "x", 1, &consumed, &run), HTTP1_ERROR);
    CHECK_EQ(http1_chunked_step(&c, LAST, 5, &consumed, &run), HTTP1_ERROR);
    CHECK_EQ(consumed, 0);
    http1_chunked_reset(&c);
    CHECK_EQ(http1_chunked_step(&c, LAST, 5, &consumed, &run), HTTP1_DONE);
}

TEST(a_large_chunk_is_counted_in_64_bits)
{
    static char block[1 << 16];
    struct http1_chunked c;
    struct http1_span run;
    uint32_t consumed;
    uint64_t left = UINT64_C(0x200000000), fed = 0;

    http1_chunked_reset(&c);
    CHECK_EQ(http1_chunked_step(&c, "200000000\r\n", 11, &consumed, &run), HTTP1_MORE);
    CHECK_EQ(run.len, 0);
    while (fed < left) {
        CHECK_EQ(http1_chunked_step(&c, block, sizeof(block), &consumed, &run), HTTP1_MORE);
        CHECK_EQ(run.len, sizeof(block));
        fed += run.len;
    }
    CHECK_EQ(http1_chunked_step(&c, "\r\n" LAST, 7, &consumed, &run), HTTP1_DONE);
}
