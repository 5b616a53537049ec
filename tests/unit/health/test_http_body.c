/* A text in a body, however it is framed and however it arrives. */
#include "health/http_body.h"

#include <stdlib.h>
#include "tests/unit/harness.h"

static enum http_body_result last;

/* Feeds a body in pieces of this size, then the end; the first verdict counts. */
static enum http_body_result feed(enum http1_body framing, const char *data, size_t len,
                                  const char *wanted, size_t piece)
{
    static struct http1_head head;
    head.body = (uint8_t)framing;
    head.content_length = len;
    struct http_body *b = http_body_new(&head, wanted);
    last = HTTP_BODY_MORE;
    for (size_t at = 0; at < len && last == HTTP_BODY_MORE; at += piece)
        last = http_body_feed(b, data + at, (uint32_t)(len - at < piece ? len - at : piece), false);
    if (last == HTTP_BODY_MORE)
        last = http_body_feed(b, NULL, 0, true);
    free(b);
    return last;
}

TEST(every_split)
{
    static const char plain[] = "one two three", chunked[] = "4\r\none \r\n5;x=y\r\ntwo t\r\n"
                                                             "4\r\nhree\r\n0\r\n\r\n";
    static const char *const wanted[] = {"one", "two", "three", "e", "one two three", "wo thr"};
    for (size_t piece = 1; piece < sizeof(chunked); piece++) {
        for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
            CHECK_EQ(feed(HTTP1_BODY_LENGTH, plain, 13, wanted[i], piece), HTTP_BODY_FOUND);
            CHECK_EQ(feed(HTTP1_BODY_CLOSE, plain, 13, wanted[i], piece), HTTP_BODY_FOUND);
            CHECK_EQ(feed(HTTP1_BODY_CHUNKED, chunked, sizeof(chunked) - 1, wanted[i], piece),
                     HTTP_BODY_FOUND);
        }
        CHECK_EQ(feed(HTTP1_BODY_LENGTH, plain, 13, "four", piece), HTTP_BODY_ABSENT);
        CHECK_EQ(feed(HTTP1_BODY_CLOSE, plain, 13, "threee", piece), HTTP_BODY_ABSENT);
        CHECK_EQ(feed(HTTP1_BODY_CHUNKED, chunked, sizeof(chunked) - 1, "5;x", piece),
                 HTTP_BODY_ABSENT);
    }
}

TEST(cut_short)
{
    static struct http1_head head = {.body = HTTP1_BODY_LENGTH, .content_length = 100};
    struct http_body *b = http_body_new(&head, "x");
    CHECK_EQ(http_body_feed(b, "abc", 3, false), HTTP_BODY_MORE);
    CHECK_EQ(http_body_feed(b, NULL, 0, true), HTTP_BODY_BAD);
    free(b);
    CHECK_EQ(feed(HTTP1_BODY_CHUNKED, "4\r\nab", 5, "x", 5), HTTP_BODY_BAD);
    CHECK_EQ(feed(HTTP1_BODY_CHUNKED, "xx\r\nab", 6, "x", 6), HTTP_BODY_BAD);
    CHECK_EQ(feed(HTTP1_BODY_NONE, "", 0, "x", 1), HTTP_BODY_ABSENT);
}

TEST(bounded)
{
    size_t len = HTTP_BODY_MAX_BYTES + 1;
    char *data = malloc(len);
    memset(data, 'a', len);
    data[len - 1] = 'x';
    CHECK_EQ(feed(HTTP1_BODY_CLOSE, data, len, "x", 1000), HTTP_BODY_TOO_LONG);
    data[len - 2] = 'x';
    CHECK_EQ(feed(HTTP1_BODY_CLOSE, data, len, "x", 1000), HTTP_BODY_FOUND);
    CHECK_EQ(feed(HTTP1_BODY_CLOSE, data, len, "x", len), HTTP_BODY_FOUND);
    free(data);
}
