/*
 * worker/buf.h: byte buffers of two sizes, kept for reuse. A buffer holds [start, end) of cap
 * bytes. A connection has one only while bytes are pending.
 */
#ifndef BALLAST_WORKER_BUF_H
#define BALLAST_WORKER_BUF_H

#include <assert.h>
#include <string.h>
#include <sys/types.h>
#include "base/base.h"

#define BUF_SMALL_BYTES   (16u * 1024)
#define BUF_LARGE_BYTES   (72u * 1024) /* a head of 64 KiB and what we add to it */
#define BUF_NOTHING_AHEAD INT32_MIN
#define BUF_SLACK_BYTES   16u /* behind cap: the end of a chunk always fits */

struct buf {
    struct buf *next;
    uint32_t start, end, cap;
    int32_t ahead; /* received already (worker/ahead.h): as of recv(2), but the error is negative */
    bool large;
    char data[];
};

struct buf_pool {
    struct buf *small, *large;
    uint32_t in_use;
    uint32_t kept_small, kept_large;
};

struct buf *buf_get(struct buf_pool *p, bool large) MUST_CHECK; /* empty; NULL: no memory */
void buf_put(struct buf_pool *p, struct buf *b);                /* b may be NULL */
void buf_pool_free(struct buf_pool *p);

static inline uint32_t buf_len(const struct buf *b)
{
    return b->end - b->start;
}
static inline char *buf_at(struct buf *b)
{
    return b->data + b->start;
}
static inline uint32_t buf_room(const struct buf *b)
{
    return b->cap - b->end;
}
/* Makes sure that *at (may be NULL) has room for so many bytes: takes one, moves its content to the
 * front, or to a large one. False: no memory, or more than a large one holds. */
bool buf_reserve(struct buf_pool *p, struct buf **at, uint32_t bytes) MUST_CHECK;
/* Moves the content to the front. */
void buf_compact(struct buf *b);
/* recv(2), or what was received ahead, into the free part: bytes read, 0 at end of file, -1 with
 * errno. */
ssize_t buf_recv(struct buf *b, int fd) MUST_CHECK;
/* Appends; the caller made sure of the room (checked by assert). Inline: most of what heads are put
 * together from is of constant length. */
static inline void buf_append(struct buf *b, const void *bytes, size_t len)
{
    assert(len <= buf_room(b));
    memcpy(b->data + b->end, bytes, len);
    b->end += (uint32_t)len;
}

#endif
