/* worker/link.c */
#include "worker/link.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "base/net.h"

static size_t take(struct buf *b, size_t sent)
{
    if (!b)
        return sent;
    uint32_t n = buf_len(b) < sent ? buf_len(b) : (uint32_t)sent;
    b->start += n;
    return sent - n;
}

void link_consume(struct buf *first, struct buf *second, size_t sent)
{
    (void)take(second, take(first, sent));
}

ssize_t link_send_fd(int fd, struct buf *first, struct buf *second, uint32_t second_ready)
{
    struct iovec iov[2];
    struct msghdr m = {.msg_iov = iov};
    if (first && buf_len(first))
        iov[m.msg_iovlen++] = (struct iovec){buf_at(first), buf_len(first)};
    if (second && second_ready)
        iov[m.msg_iovlen++] = (struct iovec){buf_at(second), second_ready};
    ssize_t n;
    do
        n = m.msg_iovlen == 1 ? send(fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL)
                              : sendmsg(fd, &m, MSG_NOSIGNAL);
    while (n == -1 && errno == EINTR);
    if (n > 0)
        link_consume(first, second, (size_t)n);
    return n;
}

static void set_events(struct ev_loop *loop, struct ev_io *io, int events)
{
    if (ev_is_active(io)) {
        if ((io->events & (EV_READ | EV_WRITE)) == events)
            return;
        ev_io_stop(loop, io);
    }
    if (events == 0)
        return;
    ev_io_modify(io, events);
    ev_io_start(loop, io);
}

void link_watch(struct link *l, struct ev_loop *loop, struct ev_io *io, int events)
{
    if (!l || !l->ops->virtual_fd)
        set_events(loop, io, events);
    if (l)
        l->ops->want(l, events);
}

void link_end(struct link *l, struct ev_loop *loop, struct ev_io *io, bool reset)
{
    ev_io_stop(loop, io); /* a fed event goes too */
    if (reset && io->fd != -1)
        net_set_linger0(io->fd);
    if (l)
        l->ops->end(l, reset);
}

int link_shut(struct link *l, int fd)
{
    return l ? l->ops->shut(l) : shutdown(fd, SHUT_WR);
}

bool link_alive(struct link *l, int fd)
{
    char byte;
    if (l)
        return l->ops->idle(l);
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1 && errno == EAGAIN;
}
