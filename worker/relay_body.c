/* worker/relay_body.c: the body of an answer: what of it is valid, and how it is framed for the
 * client. */
#include <stdio.h>
#include <string.h>
#include "worker/cache.h"
#include "worker/compress.h"
#include "worker/relay_int.h"

static void take_length(struct txn *t)
{
    uint32_t n = relay_raw_len(t);
    if (n > t->res_left)
        n = (uint32_t)t->res_left;
    if (UNLIKELY(t->keeps))
        cache_keep(t, relay_raw_at(t), n);
    t->res_left -= n;
    if (UNLIKELY(t->res_out == BODY_DISCARD) && n)
        t->rbuf->start += n;
    else
        t->res_ready += n;
    t->res_done = t->res_left == 0;
}

/* They go behind a body that we frame anew, when there is one. */
static void keep_trailers(struct txn *t, const char *from, uint32_t used)
{
    uint32_t off = t->res_chunked.trailers_off;
    if (UNLIKELY(t->compressor != NULL) && t->res_chunked.trailing && used > off)
        compress_trailers(t, from + off, used - off);
}

/* Walks the chunks. As they are, everything validated is ready; otherwise only the payload, moved
 * together. */
static bool take_chunks(struct txn *t)
{
    char *from = t->rbuf ? relay_raw_at(t) : NULL, *to = from;
    uint32_t left = relay_raw_len(t);
    while (left > 0 && !t->res_done) {
        uint32_t used = 0;
        struct http1_span payload = {0, 0};
        enum http1_result r = http1_chunked_step(&t->res_chunked, from, left, &used, &payload);
        if (r == HTTP1_ERROR)
            return false;
        t->res_done = r == HTTP1_DONE;
        keep_trailers(t, from, used);
        if (used == 0)
            break;
        if (UNLIKELY(t->keeps))
            cache_keep(t, from + payload.off, payload.len);
        if (t->res_out == BODY_DECHUNK) {
            memmove(to, from + payload.off, payload.len);
            to += payload.len;
            t->res_ready += payload.len;
        } else if (t->res_out != BODY_DISCARD) {
            t->res_ready += used;
        }
        from += used;
        left -= used;
    }
    if (t->res_out == BODY_DECHUNK && t->rbuf) {
        memmove(to, from, left); /* bytes behind the message: seen as such by the caller */
        t->rbuf->end = (uint32_t)(to - t->rbuf->data) + left;
    }
    if (UNLIKELY(t->res_out == BODY_DISCARD) && t->rbuf)
        t->rbuf->start = (uint32_t)(from - t->rbuf->data);
    return true;
}

/* Frames the raw bytes as one chunk, in place: the head of the chunk goes into the room before
 * them. */
static void wrap_chunk(struct txn *t)
{
    struct buf *b = t->rbuf;
    uint32_t n = buf_len(b);
    char head[CHUNK_HEAD_BYTES];
    int head_len = snprintf(head, sizeof head, "%x\r\n", n);
    b->start -= (uint32_t)head_len;
    memcpy(buf_at(b), head, (size_t)head_len);
    memcpy(b->data + b->end, "\r\n", 2); /* within the slack behind cap */
    b->end += 2;
    t->res_ready = buf_len(b);
}

bool relay_take_body(struct txn *t)
{
    switch ((enum http1_body)t->res_body) {
    case HTTP1_BODY_NONE: t->res_done = true; return true;
    case HTTP1_BODY_LENGTH: take_length(t); return true;
    case HTTP1_BODY_CHUNKED: return take_chunks(t);
    case HTTP1_BODY_CLOSE:
        if (relay_raw_len(t) == 0)
            return true;
        if (UNLIKELY(t->keeps))
            cache_keep(t, relay_raw_at(t), relay_raw_len(t));
        if (t->res_out == BODY_ENCHUNK)
            wrap_chunk(t);
        else if (t->res_out == BODY_DISCARD)
            t->rbuf->start = t->rbuf->end;
        else
            t->res_ready = buf_len(t->rbuf);
        return true;
    }
    return false;
}
