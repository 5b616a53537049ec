#include "worker/batch.h"
#include "worker/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PIPE_BYTES     (1024u * 1024)
#define PIPE_BYTES_MIN (64u * 1024) /* a smaller one is worth nothing */
#define PIPES_KEPT     8u
#define PIPES_MAX      64u /* so slow readers do not pin much: the others copy */
#define RETRY_US       1000000u

static void destroy(struct worker *w, struct pipe *p)
{
    close(p->read_fd);
    close(p->write_fd);
    free(p);
    w->pipes_open--;
}

/* As large as it can be had; false: the system gives only small ones now. */
static bool enlarge(struct pipe *p)
{
    int cap = fcntl(p->write_fd, F_SETPIPE_SZ, (int)PIPE_BYTES);
    if (cap == -1)
        cap = fcntl(p->write_fd, F_GETPIPE_SZ);
    p->cap = cap > 0 ? (uint32_t)cap : 0;
    return p->cap >= PIPE_BYTES_MIN;
}

static struct pipe *create(struct worker *w)
{
    int fds[2];
    struct pipe *p = malloc(sizeof *p);
    if (!p || pipe2(fds, O_NONBLOCK | O_CLOEXEC) == -1) {
        free(p);
        return NULL;
    }
    *p = (struct pipe){.read_fd = fds[0], .write_fd = fds[1]};
    w->pipes_open++;
    if (enlarge(p))
        return p;
    destroy(w, p);
    return NULL;
}

static struct pipe *get(struct worker *w)
{
    struct pipe *p = w->pipes;
    if (p) {
        w->pipes = p->next;
        w->pipes_kept--;
        return p;
    }
    if (w->pipes_open >= PIPES_MAX || w->now_us < w->pipes_retry_us)
        return NULL;
    p = create(w);
    if (!p)
        w->pipes_retry_us = w->now_us + RETRY_US;
    return p;
}

static void put(struct worker *w, struct pipe *p)
{
    if (p->bytes > 0 || w->pipes_kept >= PIPES_KEPT) {
        destroy(w, p);
        return;
    }
    p->next = w->pipes;
    w->pipes = p;
    w->pipes_kept++;
}

static ssize_t move(int from, int to, size_t most, unsigned flags)
{
    ssize_t n;
    do
        n = splice(from, NULL, to, NULL, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK | flags);
    while (n == -1 && errno == EINTR);
    return n;
}

ssize_t splice_fill(struct worker *w, struct pipe **at, int fd, uint64_t most)
{
    struct pipe *p = get(w);
    if (!p) {
        errno = ENOBUFS;
        return -1;
    }
    ssize_t n = move(fd, p->write_fd, most < p->cap ? (size_t)most : p->cap, 0);
    if (n > 0) {
        p->bytes = (uint32_t)n;
        *at = p;
        return n;
    }
    int error = errno == EINVAL ? ENOBUFS : errno; /* a socket that cannot */
    put(w, p);
    errno = error;
    return n;
}

ssize_t splice_drain(struct worker *w, struct pipe **at, int fd, bool more)
{
    struct pipe *p = *at;
    batch_settle(fd);
    ssize_t n = move(p->read_fd, fd, p->bytes, more ? SPLICE_F_MORE : 0);
    if (n <= 0) {
        errno = n == 0 ? EAGAIN : errno;
        return -1;
    }
    p->bytes -= (uint32_t)n;
    if (p->bytes == 0) {
        put(w, p);
        *at = NULL;
    }
    return n;
}

struct pipe *splice_take_over(struct worker *w, int read_fd, int write_fd, uint32_t bytes,
                              uint32_t cap)
{
    struct pipe *p = malloc(sizeof *p);
    if (!p)
        return NULL;
    *p = (struct pipe){.read_fd = read_fd, .write_fd = write_fd, .bytes = bytes, .cap = cap};
    w->pipes_open++;
    return p;
}

void splice_drop(struct worker *w, struct pipe **at)
{
    if (*at)
        put(w, *at);
    *at = NULL;
}
