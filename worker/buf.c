/* worker/buf.c */
#include "worker/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Buffers kept for reuse beyond which they go back to the system. */
#define KEEP_SMALL 256u
#define KEEP_LARGE 16u

static struct buf *allocate(bool large)
{
    uint32_t bytes = large ? BUF_LARGE_BYTES : BUF_SMALL_BYTES;
    struct buf *b = malloc(bytes);
    if (!b)
        return NULL;
    b->cap = bytes - (uint32_t)offsetof(struct buf, data) - BUF_SLACK_BYTES;
    b->large = large;
    return b;
}

struct buf *buf_get(struct buf_pool *p, bool large)
{
    struct buf **list = large ? &p->large : &p->small;
    struct buf *b = *list;
    if (b) {
        *list = b->next;
        if (large)
            p->kept_large--;
        else
            p->kept_small--;
    } else if (!(b = allocate(large))) {
        return NULL;
    }
    b->start = b->end = 0;
    b->next = NULL;
    b->ahead = BUF_NOTHING_AHEAD;
    p->in_use++;
    return b;
}

void buf_put(struct buf_pool *p, struct buf *b)
{
    if (!b)
        return;
    p->in_use--;
    uint32_t *kept = b->large ? &p->kept_large : &p->kept_small;
#ifdef __SANITIZE_ADDRESS__
    uint32_t keep = 0;
#else
    uint32_t keep = b->large ? KEEP_LARGE : KEEP_SMALL;
#endif
    if (*kept >= keep) {
        free(b);
        return;
    }
    struct buf **list = b->large ? &p->large : &p->small;
    b->next = *list;
    *list = b;
    (*kept)++;
}

static void free_list(struct buf *b)
{
    for (struct buf *next; b; b = next) {
        next = b->next;
        free(b);
    }
}

void buf_pool_free(struct buf_pool *p)
{
    free_list(p->small);
    free_list(p->large);
    *p = (struct buf_pool){0};
}

void buf_compact(struct buf *b)
{
    if (b->start == 0)
        return;
    memmove(b->data, b->data + b->start, buf_len(b));
    b->end -= b->start;
    b->start = 0;
}

bool buf_reserve(struct buf_pool *p, struct buf **at, uint32_t bytes)
{
    if (!*at && !(*at = buf_get(p, bytes > BUF_SMALL_BYTES - sizeof(struct buf) - BUF_SLACK_BYTES)))
        return false;
    if (buf_room(*at) >= bytes)
        return true;
    buf_compact(*at);
    if (buf_room(*at) >= bytes)
        return true;
    struct buf *large = (*at)->large ? NULL : buf_get(p, true);
    if (!large)
        return false;
    buf_append(large, buf_at(*at), buf_len(*at));
    buf_put(p, *at);
    *at = large;
    return buf_room(large) >= bytes;
}

static ssize_t take_ahead(struct buf *b)
{
    int32_t n = b->ahead;
    b->ahead = BUF_NOTHING_AHEAD;
    if (n < 0) {
        errno = -n;
        return -1;
    }
    b->end += (uint32_t)n;
    return n;
}

ssize_t buf_recv(struct buf *b, int fd)
{
    if (b->ahead != BUF_NOTHING_AHEAD)
        return take_ahead(b);
    ssize_t n;
    do
        n = recv(fd, b->data + b->end, buf_room(b), 0);
    while (n == -1 && errno == EINTR);
    if (n > 0)
        b->end += (uint32_t)n;
    return n;
}
