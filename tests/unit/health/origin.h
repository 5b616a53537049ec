/*
 * tests/unit/health/origin.h: a backend inside the test's own event loop, well or badly behaved. It
 * remembers the last request and counts connections.
 */
#ifndef BALLAST_TESTS_HEALTH_ORIGIN_H
#define BALLAST_TESTS_HEALTH_ORIGIN_H

#include <ev.h>
#include "base/net.h"
#include "tests/unit/harness.h"

#define ORIGIN_PEERS 64

enum origin_mode {
    ORIGIN_ANSWER, /* sends answer when a request is complete, and closes if close_after */
    ORIGIN_DRIP,   /* the same, one byte per turn of the loop */
    ORIGIN_SILENT, /* accepts, says nothing */
    ORIGIN_CLOSE,  /* closes at once */
    ORIGIN_RESET   /* resets when it has read something */
};

struct origin_peer {
    ev_io io;
    ev_idle drip;
    struct origin *origin;
    int fd;
    size_t sent;
};

struct origin {
    ev_io io;
    struct ev_loop *loop;
    struct net_addr addr;
    enum origin_mode mode;
    const char *answer;
    size_t answer_len; /* 0: strlen(answer) */
    bool close_after;
    uint32_t accepted;
    size_t request_len;
    char request[1024];
    struct origin_peer peers[ORIGIN_PEERS]; /* fd -1: free */
};

static inline void origin_close_peer(struct origin_peer *p)
{
    ev_io_stop(p->origin->loop, &p->io);
    ev_idle_stop(p->origin->loop, &p->drip);
    close(p->fd);
    p->fd = -1;
}

static inline size_t origin_answer_len(const struct origin *o)
{
    return o->answer_len > 0 ? o->answer_len : strlen(o->answer);
}

static inline void origin_send(struct origin_peer *p, size_t max)
{
    struct origin *o = p->origin;
    size_t left = origin_answer_len(o) - p->sent;
    ssize_t n = send(p->fd, o->answer + p->sent, left < max ? left : max, MSG_NOSIGNAL);
    if (n > 0)
        p->sent += (size_t)n;
    if (n == -1 || (p->sent == origin_answer_len(o) && o->close_after))
        origin_close_peer(p);
    else if (p->sent == origin_answer_len(o))
        ev_idle_stop(o->loop, &p->drip);
}

static inline void origin_on_drip(struct ev_loop *loop UNUSED, ev_idle *w, int revents UNUSED)
{
    origin_send(CONTAINER_OF(w, struct origin_peer, drip), 1);
}

static inline void origin_on_readable(struct ev_loop *loop, ev_io *w, int revents UNUSED)
{
    struct origin_peer *p = CONTAINER_OF(w, struct origin_peer, io);
    struct origin *o = p->origin;
    ssize_t n =
        recv(p->fd, o->request + o->request_len, sizeof(o->request) - 1 - o->request_len, 0);
    if (n <= 0) {
        origin_close_peer(p);
        return;
    }
    o->request_len += (size_t)n;
    o->request[o->request_len] = '\0';
    if (o->mode == ORIGIN_RESET) {
        net_set_linger0(p->fd);
        origin_close_peer(p);
        return;
    }
    if (o->mode == ORIGIN_SILENT || strstr(o->request, "\r\n\r\n") == NULL)
        return;
    if (o->mode == ORIGIN_DRIP)
        ev_idle_start(loop, &p->drip);
    else
        origin_send(p, SIZE_MAX);
}

static inline struct origin_peer *origin_free_peer(struct origin *o)
{
    for (size_t i = 0; i < ORIGIN_PEERS; i++)
        if (o->peers[i].fd == -1)
            return &o->peers[i];
    return NULL;
}

static inline void origin_on_accept(struct ev_loop *loop, ev_io *w, int revents UNUSED)
{
    struct origin *o = CONTAINER_OF(w, struct origin, io);
    struct origin_peer *p = origin_free_peer(o);
    int fd = p == NULL ? -1 : accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd == -1)
        return;
    o->accepted++;
    if (o->mode == ORIGIN_CLOSE) {
        close(fd);
        return;
    }
    o->request_len = 0;
    p->origin = o;
    p->fd = fd;
    p->sent = 0;
    ev_idle_init(&p->drip, origin_on_drip);
    ev_io_init(&p->io, origin_on_readable, fd, EV_READ);
    ev_io_start(loop, &p->io);
}

/* A free port of host ("127.0.0.1", "[::1]"), or "unix:/path". Answers 200 until told otherwise. */
static inline void origin_open(struct origin *o, struct ev_loop *loop, const char *host)
{
    char bind[128], why[128];
    bool is_unix = strncmp(host, "unix:", 5) == 0;
    memset(o, 0, sizeof(*o));
    o->loop = loop;
    o->answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    o->close_after = true;
    for (size_t i = 0; i < ORIGIN_PEERS; i++)
        o->peers[i].fd = -1;
    snprintf(bind, sizeof(bind), is_unix ? "%s" : "%s:1", host);
    CHECK_EQ(net_addr_parse(bind, &o->addr, why, sizeof(why)), 0);
    if (!is_unix)
        o->addr.u.in.sin_port = 0; /* the same place in an IPv6 address */
    int fd = net_listen(&o->addr, 1024, 0);
    CHECK(fd != -1);
    CHECK_EQ(getsockname(fd, &o->addr.u.sa, &o->addr.len_bytes), 0);
    ev_io_init(&o->io, origin_on_accept, fd, EV_READ);
    ev_io_start(loop, &o->io);
}

/* Nobody listens any more: a connect is refused. May be opened again at the same address. */
static inline void origin_shut(struct origin *o)
{
    ev_io_stop(o->loop, &o->io);
    close(o->io.fd);
}

static inline void origin_close(struct origin *o)
{
    for (size_t i = 0; i < ORIGIN_PEERS; i++)
        if (o->peers[i].fd != -1)
            origin_close_peer(&o->peers[i]);
    origin_shut(o);
}

static inline void origin_reopen(struct origin *o)
{
    int fd = net_listen(&o->addr, 1024, 0);
    CHECK(fd != -1);
    ev_io_init(&o->io, origin_on_accept, fd, EV_READ);
    ev_io_start(o->loop, &o->io);
}

#endif
