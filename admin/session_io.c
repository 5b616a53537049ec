#include "admin/session_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "base/net.h"

void session_buffer_drop(struct session *c)
{
    free(c->in);
    c->in = NULL;
    c->in_at = c->in_end = 0;
}

/* Room for more input at in[in_end]. 0: full, or no memory. */
static uint32_t make_room(struct session *c)
{
    if (!c->in)
        c->in = malloc(SESSION_IN_BYTES);
    if (!c->in)
        return 0;
    if (c->in_at == c->in_end) {
        c->in_at = c->in_end = 0;
    } else if (c->in_end == SESSION_IN_BYTES && c->in_at) {
        memmove(c->in, c->in + c->in_at, c->in_end - c->in_at);
        c->in_end -= c->in_at;
        c->in_at = 0;
    }
    return SESSION_IN_BYTES - c->in_end;
}

static enum step discard(struct session *c)
{
    char scrap[16384];
    ssize_t n = recv(c->read.fd, scrap, sizeof(scrap), 0);
    if (n > 0 || (n == -1 && (errno == EAGAIN || errno == EINTR)))
        return STEP_BLOCKED;
    session_close(c);
    return STEP_GONE;
}

enum step session_recv(struct session *c)
{
    if (c->state == SESSION_LINGER)
        return discard(c);
    uint32_t room = make_room(c);
    if (room == 0 && c->in) { /* more is pipelined behind a request that waits */
        ev_io_stop(c->server->loop, &c->read);
        return STEP_BLOCKED;
    }
    ssize_t n = room ? recv(c->read.fd, c->in + c->in_end, room, 0) : 0;
    if (n > 0) {
        c->in_end += (uint32_t)n;
        return STEP_AGAIN;
    }
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return STEP_BLOCKED;
    session_close(c);
    return STEP_GONE;
}

/* What is left of head and body. */
static int fill_iov(const struct session *c, const char *body, struct iovec iov[2])
{
    size_t head_sent = c->sent_bytes < c->out_head_bytes ? c->sent_bytes : c->out_head_bytes;
    size_t body_sent = c->sent_bytes - head_sent;
    union {
        const char *from;
        void *base; /* sendmsg does not write there */
    } head = {c->out_head + head_sent}, rest = {body + body_sent};
    iov[0] = (struct iovec){head.base, c->out_head_bytes - head_sent};
    iov[1] = (struct iovec){rest.base, c->out_body_bytes - body_sent};
    return 2;
}

enum step session_send(struct session *c)
{
    size_t body_bytes, total = c->out_head_bytes + c->out_body_bytes;
    const char *body = response_body(&c->r, &body_bytes);
    while (c->sent_bytes < total) {
        struct iovec iov[2];
        struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)fill_iov(c, body, iov)};
        ssize_t n = sendmsg(c->write.fd, &m, MSG_NOSIGNAL);
        if (n > 0) {
            c->sent_bytes += (size_t)n;
            session_deadline(c, SESSION_WRITE_S);
        } else if (n == -1 && errno == EAGAIN) {
            ev_io_start(c->server->loop, &c->write);
            return STEP_BLOCKED;
        } else if (n == 0 || errno != EINTR) {
            session_close(c);
            return STEP_GONE;
        }
    }
    return STEP_AGAIN;
}

void session_name_peer(struct session *c, int fd)
{
    struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(ss);
    if (getpeername(fd, (struct sockaddr *)&ss, &len) == 0 && ss.ss_family != AF_UNIX) {
        struct net_addr addr;
        net_addr_from_sockaddr(&addr, (const struct sockaddr *)&ss, len);
        net_addr_format(&addr, c->peer, sizeof(c->peer));
        return;
    }
    struct ucred who;
    len = sizeof(who);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0)
        snprintf(c->peer, sizeof(c->peer), "unix uid %u pid %d", who.uid, (int)who.pid);
    else
        snprintf(c->peer, sizeof(c->peer), "unix");
}
