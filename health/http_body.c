#include "health/http_body.h"

#include <stdlib.h>
#include <string.h>

struct http_body {
    const char *wanted;
    uint32_t wanted_len;
    enum http1_body framing;
    uint64_t left; /* HTTP1_BODY_LENGTH */
    struct http1_chunked chunked;
    uint32_t len;
    char buf[HTTP_BODY_MAX_BYTES];
};

struct http_body *http_body_new(const struct http1_head *head, const char *wanted)
{
    struct http_body *b = malloc(sizeof(*b));
    if (b == NULL)
        return NULL;
    b->wanted = wanted;
    b->wanted_len = (uint32_t)strlen(wanted);
    b->framing = (enum http1_body)head->body;
    b->left = head->content_length;
    b->len = 0;
    http1_chunked_reset(&b->chunked);
    return b;
}

/* Payload; looks only where the text can end in what is new. */
static enum http_body_result take(struct http_body *b, const char *data, uint32_t len)
{
    uint32_t room = (uint32_t)sizeof(b->buf) - b->len, n = len < room ? len : room;
    uint32_t back = b->len < b->wanted_len ? b->len : b->wanted_len;
    memcpy(b->buf + b->len, data, n);
    if (memmem(b->buf + b->len - back, back + n, b->wanted, b->wanted_len) != NULL)
        return HTTP_BODY_FOUND;
    b->len += n;
    return len > room ? HTTP_BODY_TOO_LONG : HTTP_BODY_MORE;
}

static enum http_body_result feed_length(struct http_body *b, const char *data, uint32_t len)
{
    uint32_t n = len < b->left ? len : (uint32_t)b->left;
    b->left -= n;
    enum http_body_result result = take(b, data, n);
    return result == HTTP_BODY_MORE && b->left == 0 ? HTTP_BODY_ABSENT : result;
}

static enum http_body_result feed_chunked(struct http_body *b, const char *data, uint32_t len)
{
    for (;;) {
        uint32_t consumed = 0;
        struct http1_span run = {0, 0};
        enum http1_result step = http1_chunked_step(&b->chunked, data, len, &consumed, &run);
        if (step == HTTP1_ERROR)
            return HTTP_BODY_BAD;
        enum http_body_result result = take(b, data + run.off, run.len);
        if (result != HTTP_BODY_MORE)
            return result;
        if (step == HTTP1_DONE)
            return HTTP_BODY_ABSENT;
        if (consumed == 0)
            return HTTP_BODY_MORE;
        data += consumed;
        len -= consumed;
    }
}

enum http_body_result http_body_feed(struct http_body *b, const char *data, uint32_t len, bool end)
{
    if (b->framing == HTTP1_BODY_NONE)
        return HTTP_BODY_ABSENT;
    if (end)
        return b->framing == HTTP1_BODY_CLOSE ? HTTP_BODY_ABSENT : HTTP_BODY_BAD;
    if (b->framing == HTTP1_BODY_LENGTH)
        return feed_length(b, data, len);
    return b->framing == HTTP1_BODY_CHUNKED ? feed_chunked(b, data, len) : take(b, data, len);
}
