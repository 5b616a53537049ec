/* worker/proto_http1.c */
#include "worker/proto_http1.h"

#include <errno.h>
#include <string.h>
#include "worker/conn.h"
#include "worker/h2.h"
#include "worker/link.h"
#include "worker/txn.h"
#include "worker/txn_start.h"

void http1_release_head(struct conn *c)
{
    if (c->head)
        slab_put(&c->worker->head_slab, c->head);
    c->head = NULL;
}

/* Requests that came before it are answered (conn_continue); a part of one is worth nothing. */
static void on_eof(struct conn *c)
{
    c->eof = true;
    if (c->state == CONN_IDLE && buf_len(c->in) > 0)
        conn_want(c, 0);
    else
        conn_close(c, c->state == CONN_HEAD ? "client closed within a head" : "client closed");
}

void http1_readable(struct conn *c)
{
    if (!buf_reserve(&c->worker->bufs, &c->in, 1)) {
        conn_close(c, "out of memory");
        return;
    }
    ssize_t n = conn_recv(c, c->in);
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
    if (c->eof) {
        conn_close(c, "client closed within a head");
        return;
    }
    if (c->state == CONN_HEAD)
        return;
    c->state = CONN_HEAD;
    conn_want(c, EV_READ);
    conn_deadline(c, listener->timeouts.header_ms);
}

/* A first request that is the beginning of HTTP/2 by prior knowledge (RFC 9113 3.3). */
static bool speaks_http2(struct conn *c, const struct conf_listener *listener)
{
    uint32_t len = buf_len(c->in) < H2_PREFACE_BYTES ? buf_len(c->in) : H2_PREFACE_BYTES;
    if (c->secure || c->is_stream || *buf_at(c->in) != 'P' ||
        memcmp(buf_at(c->in), H2_PREFACE, len) != 0)
        return false;
    if (len < 3) /* PUT, POST, PATCH are told apart by then */
        return false;
    if (len < H2_PREFACE_BYTES) {
        wait_for_more(c, listener);
        return true;
    }
    http1_release_head(c);
    h2_begin(c);
    return true;
}

void http1_process(struct conn *c)
{
    const struct conf_listener *listener = conn_listener(c);
    if (!listener || !need_head(c)) {
        conn_close(c, listener ? "out of memory" : "listener removed");
        return;
    }
    if (c->served == 0 && speaks_http2(c, listener))
        return;
    struct http1_limits limits = {listener->limits.header_bytes, listener->limits.headers};
    switch (http1_parse_request(c->head, buf_at(c->in), buf_len(c->in), &limits)) {
    case HTTP1_MORE: wait_for_more(c, listener); break;
    case HTTP1_DONE: txn_start_http(c); break;
    case HTTP1_ERROR: txn_start_refused(c, c->head->status, c->head->error); break;
    }
}

void http1_head_timeout(struct conn *c)
{
    if (c->in && buf_len(c->in) > 0 && conn_listener(c))
        txn_start_refused(c, 408, "Request header timed out");
    else
        conn_close(c, "no request");
}
