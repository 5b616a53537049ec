/* worker/tail.c */
#include "worker/tail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "worker/link.h"

struct tail {
    struct link link;
    struct conn *conn;
    int wanted; /* by the owner */
    bool shut;  /* our direction ends behind the bytes */
    uint32_t at, len;
    char bytes[];
};

static struct tail *tail_of(struct link *l)
{
    return CONTAINER_OF(l, struct tail, link);
}

/* 0: all sent; -1 with errno. */
static int drain(struct tail *t)
{
    while (t->at < t->len) {
        ssize_t n = send(t->conn->io.fd, t->bytes + t->at, t->len - t->at, MSG_NOSIGNAL);
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1)
            return -1;
        t->at += (uint32_t)n;
    }
    return t->shut ? shutdown(t->conn->io.fd, SHUT_WR) : 0;
}

static void watch(struct tail *t)
{
    struct conn *c = t->conn;
    link_set_events(c->worker->loop, &c->io, t->wanted | (t->at < t->len ? EV_WRITE : 0));
}

static ssize_t tail_recv(struct link *l, struct buf *b)
{
    return buf_recv(b, tail_of(l)->conn->io.fd);
}

static ssize_t tail_send(struct link *l, struct buf *first, struct buf *second,
                         uint32_t second_ready)
{
    struct tail *t = tail_of(l);
    if (t->at < t->len && drain(t) == -1)
        return -1;
    return link_send_fd(t->conn->io.fd, first, second, second_ready);
}

static int tail_shut(struct link *l)
{
    struct tail *t = tail_of(l);
    t->shut = true;
    return drain(t) == -1 && errno != EAGAIN ? -1 : 0;
}

static void tail_want(struct link *l, int events)
{
    struct tail *t = tail_of(l);
    t->wanted = events;
    watch(t);
}

/* A connection that broke says so when it is read. */
static int tail_ready(struct link *l, int revents)
{
    struct tail *t = tail_of(l);
    if (t->at < t->len && (revents & EV_WRITE)) {
        if (drain(t) == -1 && errno != EAGAIN)
            t->at = t->len;
        watch(t);
    }
    return t->at < t->len ? revents & ~EV_WRITE : revents & t->wanted;
}

static bool tail_idle(struct link *l)
{
    return link_alive(NULL, tail_of(l)->conn->io.fd);
}

static void tail_end(struct link *l, bool reset)
{
    (void)reset;
    free(tail_of(l));
}

static const struct link_ops tail_ops = {
    .recv = tail_recv,
    .send = tail_send,
    .shut = tail_shut,
    .want = tail_want,
    .ready = tail_ready,
    .idle = tail_idle,
    .end = tail_end,
};

bool tail_attach(struct conn *c, const char *bytes, uint32_t len)
{
    struct tail *t = c->link ? NULL : malloc(sizeof *t + len);
    if (!t)
        return false;
    *t = (struct tail){.link = {&tail_ops}, .conn = c, .len = len};
    t->wanted = link_wanted(NULL, &c->io);
    memcpy(t->bytes, bytes, len);
    c->link = &t->link;
    watch(t);
    return true;
}
