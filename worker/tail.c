/* worker/tail.c */
#include "worker/tail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "worker/conn.h"
#include "worker/link.h"

struct tail {
    uint32_t at, len;
    char bytes[];
};

/* As for any answer that the client does not take: timeouts.body without progress. */
static void wait_for_room(struct conn *c)
{
    const struct conf_listener *l = conn_listener(c);
    conn_want(c, EV_WRITE);
    conn_deadline(c, l ? l->timeouts.body_ms : c->worker->gen->conf->drain_timeout_ms);
}

bool tail_keep(struct conn *c, const char *bytes, uint32_t len)
{
    struct tail *t = malloc(sizeof *t + len);
    if (!t)
        return false;
    *t = (struct tail){.len = len};
    memcpy(t->bytes, bytes, len);
    c->tail = t;
    c->state = CONN_TAIL;
    wait_for_room(c);
    return true;
}

void tail_push(struct conn *c)
{
    struct tail *t = c->tail;
    ssize_t n = send(conn_fd(c), t->bytes + t->at, t->len - t->at, MSG_NOSIGNAL);
    if (n == -1) {
        if (errno != EAGAIN && errno != EINTR)
            conn_close(c, "client reset");
        return;
    }
    t->at += (uint32_t)n;
    if (t->at < t->len) {
        wait_for_room(c);
        return;
    }
    free(t);
    c->tail = NULL;
    conn_to_idle(c);
}
