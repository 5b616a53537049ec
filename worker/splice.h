/*
 * worker/splice.h: many bytes from one plain socket to another through a pipe, never copied. A pipe
 * is held only while bytes wait in it; who gets none (too many are in use) copies as ever. Pipes
 * and their room are bounded by the system per user (pipe-user-pages-soft), so few are kept and
 * large.
 */
#ifndef BALLAST_WORKER_SPLICE_H
#define BALLAST_WORKER_SPLICE_H

#include "worker/types.h"

#define SPLICE_MIN_BYTES (64u * 1024) /* below, copying is as cheap */

struct pipe {
    int read_fd, write_fd;
    uint32_t bytes; /* waiting */
    uint32_t cap;
    struct pipe *next;
};

static inline uint32_t splice_waiting(const struct pipe *p)
{
    return p ? p->bytes : 0;
}
/* Moves up to `most` bytes from fd into *at, which is empty or NULL. Returns bytes, 0 at end of
 * file, -1 with errno: EAGAIN none now, ENOBUFS no pipe for it: copy. */
ssize_t splice_fill(struct worker *w, struct pipe **at, int fd, uint64_t most) MUST_CHECK;
/* Moves what waits to fd; more: other bytes follow at once. Returns bytes, or -1 with errno. The
 * emptied pipe is given back, *at becomes NULL. */
ssize_t splice_drain(struct worker *w, struct pipe **at, int fd, bool more) MUST_CHECK;
/* A pipe of another worker, with what waits in it; takes the descriptors. NULL: no memory. */
struct pipe *splice_take_over(struct worker *w, int read_fd, int write_fd, uint32_t bytes,
                              uint32_t cap) MUST_CHECK;
/* Forgets it with what waits in it. */
void splice_drop(struct worker *w, struct pipe **at);

/* May the rest of a response (request) go this way? */
static inline bool splice_response_fits(const struct txn *t)
{
    return t->res_left >= (t->res_spliced ? 1u : SPLICE_MIN_BYTES) && t->res_head_done &&
           t->res_body == HTTP1_BODY_LENGTH && t->res_out == BODY_AS_IS && !t->rbuf && !t->keeps &&
           !t->conn->link && !t->up->link;
}
static inline bool splice_request_fits(const struct txn *t)
{
    return t->req_left >= (t->req_spliced ? 1u : SPLICE_MIN_BYTES) &&
           t->req_body == HTTP1_BODY_LENGTH && t->state == TXN_EXCHANGE && t->up && !t->conn->in &&
           !t->up_head && !t->send_broken && !t->conn->link && !t->up->link && !t->mirror;
}

#endif
