#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/magic.h"
#include "cli/sample.h"

#define BACKLOG      512
#define ACCEPT_BATCH 64

static void accept_waiting(struct sample_server *s)
{
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd == -1) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                log_error("sample backend: accept: %s", strerror(errno));
            return;
        }
        net_set_nodelay(fd);
        sample_conn_open(s, fd);
    }
}

static void on_accept(EV_P_ ev_io *w, int revents UNUSED)
{
    struct sample_server *s = CONTAINER_OF(w, struct sample_server, accepting);

    MAGIC_CHECK(s, SAMPLE_SERVER_MAGIC);
    accept_waiting(s);
    (void)loop;
}

int sample_server_open(struct sample_server *s, struct ev_loop *loop,
                       const struct sample_options *o, char *why, size_t why_cap)
{
    struct net_addr addr;
    char text[NET_ADDR_STRLEN];
    bool bare_v6 = strchr(o->host, ':') && o->host[0] != '[';

    *s = (struct sample_server){.loop = loop, .options = *o};
    MAGIC_SET(s, SAMPLE_SERVER_MAGIC);
    snprintf(text, sizeof(text), bare_v6 ? "[%s]:%u" : "%s:%u", o->host, o->port);
    if (net_addr_resolve(text, &addr, why, why_cap) == -1)
        return -1;
    s->fd = net_listen(&addr, BACKLOG, 0);
    if (s->fd == -1) {
        snprintf(why, why_cap, "cannot listen on %s: %s", text, strerror(errno));
        return -1;
    }
    ev_io_init(&s->accepting, on_accept, s->fd, EV_READ);
    return 0;
}

void sample_server_serve(struct sample_server *s)
{
    ev_io_start(s->loop, &s->accepting);
}

void sample_server_drain(struct sample_server *s)
{
    struct sample_conn *next;

    if (s->draining)
        return;
    accept_waiting(s); /* closing the socket would reset who waits in its queue */
    s->draining = true;
    ev_io_stop(s->loop, &s->accepting);
    close(s->fd);
    s->fd = -1;
    s->conn_count++; /* held while walking: the last one to close must not report before we do */
    for (struct sample_conn *c = s->conns; c; c = next) {
        next = c->next;
        sample_conn_drain(c);
    }
    s->conn_count--;
    if (s->conn_count == 0 && s->on_drained)
        s->on_drained(s->drained_arg);
}
