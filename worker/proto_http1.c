/* worker/proto_http1.c */
#include "worker/proto_http1.h"

#include <errno.h>
#include <string.h>
#include "worker/conn.h"
#include "worker/txn.h"

void http1_release_head(struct conn *c)
{
    if (c->head)
        slab_put(&c->worker->head_slab, c->head);
    c->head = NULL;
}

/* Room for more of the head; a head that outgrew a small buffer moves to a large one. */
static bool make_room(struct conn *c)
{
    struct worker *w = c->worker;
    if (!c->in && !(c->in = buf_get(&w->bufs, false)))
        return false;
    if (buf_room(c->in) > 0)
        return true;
    buf_compact(c->in);
    if (buf_room(c->in) > 0)
        return true;
    struct buf *large = c->in->large ? NULL : buf_get(&w->bufs, true);
    if (!large)
        return false;
    buf_append(large, buf_at(c->in), buf_len(c->in));
    buf_put(&w->bufs, c->in);
    c->in = large;
    return true;
}

static void on_eof(struct conn *c)
{
    conn_close(c, c->state == CONN_HEAD ? "client closed within a head" : "client closed");
}

void http1_readable(struct conn *c)
{
    if (!make_room(c)) {
        conn_close(c, "out of memory");
        return;
    }
    ssize_t n = buf_recv(c->in, conn_fd(c));
    if (n > 0)
        http1_process(c);
    else if (n == 0)
        on_eof(c);
    else if (errno != EAGAIN)
        conn_close(c, "client reset");
    else if (buf_len(c->in) == 0) {
        buf_put(&c->worker->bufs, c->in);
        c->in = NULL;
    }
}

static bool need_head(struct conn *c)
{
    if (c->head)
        return true;
    c->head = slab_get(&c->worker->head_slab);
    if (!c->head)
        return false;
    http1_head_reset(c->head);
    return true;
}

static void wait_for_more(struct conn *c, const struct conf_listener *listener)
{
    if (c->state == CONN_HEAD)
        return;
    c->state = CONN_HEAD;
    conn_want(c, EV_READ);
    conn_deadline(c, listener->timeouts.header_ms);
}

void http1_process(struct conn *c)
{
    const struct conf_listener *listener = c->worker->gen->by_row[c->listener_row];
    if (!listener || !need_head(c)) {
        conn_close(c, listener ? "out of memory" : "listener removed");
        return;
    }
    struct http1_limits limits = {listener->limits.header_bytes, listener->limits.headers};
    switch (http1_parse_request(c->head, buf_at(c->in), buf_len(c->in), &limits)) {
    case HTTP1_MORE: wait_for_more(c, listener); break;
    case HTTP1_DONE: txn_start_http(c); break;
    case HTTP1_ERROR: txn_start_refused(c, c->head->status, c->head->error); break;
    }
}

void http1_head_timeout(struct conn *c)
{
    if (c->in && buf_len(c->in) > 0)
        txn_start_refused(c, 408, "Request header timed out");
    else
        conn_close(c, "no request");
}
