/*
 * worker/link.h: bytes in and out of client and backend connections. A connection without a link is
 * a plain socket: the same system calls as ever, behind one predictable branch. With one (TLS, a
 * stream of a multiplexed connection) the link's operations stand in, with a socket's meaning:
 *
 *   recv   appends to b: bytes read, 0 at an orderly end, -1 with errno; EAGAIN: none now. An end
 *          that the protocol did not announce (TLS without close_notify) is ECONNRESET
 *   send   consumes from two runs as link_send does
 *   shut   ends our direction in order, as shutdown(SHUT_WR): FIN, close_notify, END_STREAM
 *   want   the watcher was set to these events; the link feeds an event when it holds bytes that no
 *          descriptor announces
 *   wanted what the owner waits for, where the link holds some of it back
 *   ready  the watcher fired: what of it is for the owner; 0: nothing, who may even be closed now
 *   idle   an idle backend connection became readable, or is about to be used: still good?
 *   seal   brings all of a small message on its way with the batch (worker/batch.h), consumed;
 *          false: nothing was done. NULL: never
 *   ahead  may the next recv find in b what the descriptor had (worker/ahead.h)? NULL: never
 *   end    the connection closes, reset: must look cut. Frees the link; the owner closes the
 *          descriptor behind it
 *
 * A link belongs to its conn or upstream.
 */
#ifndef BALLAST_WORKER_LINK_H
#define BALLAST_WORKER_LINK_H

#include "worker/batch.h"
#include "worker/types.h"

struct link;

struct link_ops {
    ssize_t (*recv)(struct link *l, struct buf *b);
    ssize_t (*send)(struct link *l, struct buf *first, struct buf *second, uint32_t second_ready);
    int (*shut)(struct link *l);
    void (*want)(struct link *l, int events);
    int (*wanted)(struct link *l); /* NULL: what the watcher says */
    int (*ready)(struct link *l, int revents);
    bool (*idle)(struct link *l);
    bool (*seal)(struct link *l, struct buf *first, struct buf *second, uint32_t second_ready);
    bool (*ahead)(struct link *l);
    void (*end)(struct link *l, bool reset);
    bool virtual_fd; /* there is no descriptor: the watcher is never started, only fed */
};

struct link {
    const struct link_ops *ops;
};

/* Sends up to two runs with one system call (either may be NULL or empty) and consumes what was
 * taken. second_ready: how much of the second buffer may go. Returns bytes sent, or -1 with errno
 * (EAGAIN: none). */
ssize_t link_send_fd(int fd, struct buf *first, struct buf *second,
                     uint32_t second_ready) MUST_CHECK;
/* Takes so many bytes, sent already, out of the two. */
void link_consume(struct buf *first, struct buf *second, size_t sent);
/* Sets what the watcher waits for: nothing to the kernel when it does already. */
void link_watch(struct link *l, struct ev_loop *loop, struct ev_io *io, int events);
/* Ends watcher and link, before the descriptor is closed. reset: the peer must not take what it got
 * for the whole. */
void link_end(struct link *l, struct ev_loop *loop, struct ev_io *io, bool reset);
/* What the owner of the watcher waits for. */
static inline int link_wanted(struct link *l, const struct ev_io *io)
{
    if (UNLIKELY(l && l->ops->wanted))
        return l->ops->wanted(l);
    bool active = ev_is_active(io) || (l && l->ops->virtual_fd);
    return active ? io->events & (EV_READ | EV_WRITE) : 0;
}
/* shutdown(SHUT_WR) or what it is for the link. */
int link_shut(struct link *l, int fd) MUST_CHECK;
/* Looks (one system call) whether the peer closed an idle connection, or said something. */
bool link_alive(struct link *l, int fd);

static inline ssize_t link_recv(struct link *l, int fd, struct buf *b)
{
    return __builtin_expect(!l, 1) ? buf_recv(b, fd) : l->ops->recv(l, b);
}

static inline ssize_t link_send(struct link *l, int fd, struct buf *first, struct buf *second,
                                uint32_t second_ready)
{
    return __builtin_expect(!l, 1) ? link_send_fd(fd, first, second, second_ready)
                                   : l->ops->send(l, first, second, second_ready);
}

static inline ssize_t conn_recv(struct conn *c, struct buf *b)
{
    return link_recv(c->link, c->io.fd, b);
}

static inline ssize_t conn_send(struct conn *c, struct buf *first, struct buf *second,
                                uint32_t second_ready)
{
    return link_send(c->link, c->io.fd, first, second, second_ready);
}

/* Leaves a whole message, which ends an answer, with the batch. False: nothing was done. */
static inline bool conn_batch(struct conn *c, struct buf *first, struct buf *second,
                              uint32_t second_ready)
{
    struct link *l = c->link;
    if (__builtin_expect(!l, 1))
        return batch_conn(c, first, second, second_ready);
    return l->ops->seal && l->ops->seal(l, first, second, second_ready);
}

/* May what comes next be received for it? */
static inline bool link_ahead(struct link *l)
{
    return __builtin_expect(!l, 1) || (l->ops->ahead && l->ops->ahead(l));
}

static inline ssize_t upstream_recv(struct upstream *u, struct buf *b)
{
    return link_recv(u->link, u->io.fd, b);
}

static inline ssize_t upstream_send(struct upstream *u, struct buf *first, struct buf *second,
                                    uint32_t second_ready)
{
    batch_settle(u->io.fd);
    return link_send(u->link, u->io.fd, first, second, second_ready);
}

#endif
