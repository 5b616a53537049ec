/* worker/h2_backend.c */
#include "worker/h2_backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/net.h"
#include "worker/conn.h"
#include "worker/dispatch.h"
#include "worker/h2_int.h"
#include "worker/tls.h"
#include "worker/upool.h"
#include "worker/upstream.h"
#include "worker/worker_int.h"

#define EXCESS_US   1000000u /* as worker/upool.c */
#define STREAMS_MAX 100u     /* on one connection, until the backend says how many it takes */

struct h2_backend {
    struct h2_session session;
    struct upstream *carrier;     /* NULL: closed, streams may still look at it */
    struct gen *gen;              /* until it is ready */
    const struct conf_pool *pool; /* of gen */
    struct buf *in;
    uint32_t entry, incarnation;
    uint32_t served;   /* requests */
    uint64_t since_us; /* idle, or being made */
    bool ready, secure, closing;
    bool spent;                     /* it served as many as its pool allows: no new ones */
    struct h2_backend *prev, *next; /* of one backend */
    struct h2_backend *all_prev, *all_next;
};

/* ---- lists ---- */

static void link_in(struct worker *w, struct h2_backend *b)
{
    b->next = w->h2_of[b->entry];
    if (b->next)
        b->next->prev = b;
    w->h2_of[b->entry] = b;
    b->all_next = w->h2_all;
    if (b->all_next)
        b->all_next->all_prev = b;
    w->h2_all = b;
}

static void unlink_from(struct worker *w, struct h2_backend *b)
{
    if (b->prev)
        b->prev->next = b->next;
    else
        w->h2_of[b->entry] = b->next;
    if (b->next)
        b->next->prev = b->prev;
    if (b->all_prev)
        b->all_prev->all_next = b->all_next;
    else
        w->h2_all = b->all_next;
    if (b->all_next)
        b->all_next->all_prev = b->all_prev;
}

/* ---- what sessions ask ---- */

ssize_t h2_backend_send(struct h2_backend *b, struct buf *out)
{
    return upstream_send(b->carrier, out, NULL, 0);
}

void h2_backend_want(struct h2_backend *b, int events)
{
    upstream_want(b->carrier, events);
}

const char *h2_backend_name(const struct h2_backend *b)
{
    return entry_at(b->session.worker->table, b->entry)->endpoint;
}

bool h2_backend_secure(const struct h2_backend *b)
{
    return b->secure;
}

/* ---- ends ---- */

static void let_go(struct h2_backend *b)
{
    if (b->gen)
        gen_unref(b->session.worker, b->gen);
    b->gen = NULL;
    b->pool = NULL;
}

void h2_backend_stream_gone(struct h2_backend *b)
{
    if (b->session.count > 0 || b->closing)
        return;
    b->since_us = b->session.worker->now_us;
    if (!b->carrier)
        free(b);
}

static struct h2_stream *a_waiting_one(struct h2_backend *b)
{
    struct h2_stream *st = b->session.streams;
    while (st && !st->waiting)
        st = st->next;
    return st;
}

static void fail_waiting(struct h2_backend *b)
{
    for (struct h2_stream *st; (st = a_waiting_one(b));) {
        struct conn *c = st->up->txn->conn;
        st->waiting = false;
        st->ended = true;
        txn_connect_failed(st->up->txn, ECONNREFUSED);
        conn_continue(c);
    }
}

void h2_backend_close(struct h2_backend *b, const char *why)
{
    struct h2_session *s = &b->session;
    if (!b->carrier)
        return;
    log_debug("HTTP/2 connection to backend closed backend=%s reason=\"%s\"", h2_backend_name(b),
              why);
    b->closing = true;
    s->broken = true;
    unlink_from(s->worker, b);
    ev_prepare_stop(s->worker->loop, &s->flush); /* what was fed goes too */
    upstream_close(b->carrier);
    b->carrier = NULL;
    fail_waiting(b);
    for (struct h2_stream *st = s->streams, *next; st; st = next) {
        next = st->next;
        h2_stream_closed(st);
    }
    nghttp2_session_del(s->ng);
    s->ng = NULL;
    buf_put(&s->worker->bufs, s->out);
    buf_put(&s->worker->bufs, b->in);
    s->out = b->in = NULL;
    let_go(b);
    b->closing = false;
    h2_backend_stream_gone(b);
}

/* ---- beginnings ---- */

static bool greet(struct h2_session *s)
{
    static nghttp2_option *options;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW_BYTES}};
    if (!options && nghttp2_option_new(&options) != 0)
        return false;
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_peer_max_concurrent_streams(options, STREAMS_MAX);
    return h2_callbacks() &&
           nghttp2_session_client_new3(&s->ng, h2_callbacks(), s, options, h2_memory()) == 0 &&
           nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) == 0 &&
           nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)H2_SESSION_BYTES) == 0;
}

void h2_backend_ready(struct h2_backend *b)
{
    const struct tls *tls = tls_of(b->carrier->link);
    b->carrier->connecting = false;
    if (tls && !tls_chose(tls, "h2")) {
        log_warning("backend does not speak HTTP/2: backend=%s", h2_backend_name(b));
        h2_backend_close(b, "no h2 by ALPN");
        return;
    }
    if (!greet(&b->session)) {
        h2_backend_close(b, "out of memory");
        return;
    }
    b->ready = true;
    let_go(b);
    upstream_want(b->carrier, EV_READ);
    h2_wake(&b->session);
    for (struct h2_stream *st; (st = a_waiting_one(b));) {
        struct conn *c = st->up->txn->conn;
        st->waiting = false;
        upstream_ready(st->up);
        conn_continue(c);
    }
}

static struct h2_backend *open_backend(struct txn *t)
{
    struct worker *w = t->worker;
    const struct entry *e = entry_at(w->table, t->entry);
    struct h2_backend *b = calloc(1, sizeof *b);
    struct upstream *u = b ? upstream_open(t) : NULL;
    if (!u) {
        free(b);
        return NULL;
    }
    h2_session_init(&b->session, w);
    b->session.back = b;
    b->carrier = u;
    u->h2 = b;
    b->entry = t->entry;
    b->incarnation = word_get(&e->incarnation);
    b->gen = t->gen;
    gen_ref(b->gen);
    b->pool = t->pool->conf;
    b->secure = b->pool->tls != NULL;
    b->since_us = w->now_us;
    link_in(w, b);
    return b;
}

static bool has_room(const struct h2_backend *b)
{
    uint32_t most = STREAMS_MAX;
    if (b->ready)
        most = nghttp2_session_get_remote_settings(b->session.ng,
                                                   NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    if (most > STREAMS_MAX)
        most = STREAMS_MAX;
    return !b->session.goaway && !b->session.broken && !b->spent && b->session.count < most;
}

static struct h2_backend *find(struct txn *t)
{
    uint32_t incarnation = word_get(&entry_at(t->worker->table, t->entry)->incarnation);
    struct h2_backend *b = t->worker->h2_of[t->entry];
    while (b && (b->incarnation != incarnation || !has_room(b) ||
                 b->secure != (t->pool->conf->tls != NULL)))
        b = b->next;
    return b;
}

struct upstream *h2_backend_attach(struct txn *t)
{
    struct h2_backend *b = find(t);
    if (!b)
        b = open_backend(t);
    struct upstream *u = b ? upstream_new(t, -1) : NULL;
    struct h2_stream *st = u ? h2_stream_new(&b->session, -1) : NULL;
    if (!st) {
        if (u)
            upstream_close(u);
        errno = ENOMEM;
        return NULL;
    }
    uint32_t most = t->pool->conf->keepalive_requests;
    b->spent = ++b->served >= most && most > 0;
    upool_note(t->worker, t->pool->conf);
    st->up = u;
    st->io = &u->io;
    st->waiting = !b->ready;
    u->link = &st->link;
    u->connecting = !b->ready;
    u->reused = b->ready;
    return u;
}

/* ---- events ---- */

static void on_connected(struct h2_backend *b)
{
    struct upstream *u = b->carrier;
    int error = net_connect_result(u->io.fd);
    if (error != 0)
        h2_backend_close(b, strerror(error));
    else if (!b->pool->tls)
        h2_backend_ready(b);
    else if (tls_connect(u, b->gen, b->pool, true))
        (void)u->link->ops->ready(u->link, 0); /* the first flight */
    else
        h2_backend_close(b, "out of memory");
}

static void readable(struct h2_backend *b)
{
    struct h2_session *s = &b->session;
    if (!buf_reserve(&s->worker->bufs, &b->in, BUF_SMALL_BYTES)) {
        h2_backend_close(b, "out of memory");
        return;
    }
    ssize_t n = upstream_recv(b->carrier, b->in);
    if (n == -1 && errno == EAGAIN) {
        buf_put(&s->worker->bufs, b->in);
        b->in = NULL;
    } else if (n <= 0) {
        h2_backend_close(b, n == 0 ? "backend closed" : "backend reset");
    } else if (!h2_session_feed(s, &b->in)) {
        h2_backend_close(b, "not HTTP/2");
    } else {
        h2_wake(s);
    }
}

void h2_backend_io(struct upstream *carrier, int revents)
{
    struct h2_backend *b = carrier->h2;
    if (carrier->link && !(revents = carrier->link->ops->ready(carrier->link, revents)))
        return;
    if (carrier->connecting) {
        on_connected(b);
        return;
    }
    if (revents & EV_WRITE)
        h2_flush(&b->session);
    if (revents & EV_READ && !carrier->dead)
        readable(b);
}

/* ---- housekeeping ---- */

/* Idle connections of its pool, those that go already aside. */
static uint32_t count_idle(const struct worker *w, uint32_t pool_row)
{
    uint32_t count = 0;
    for (const struct h2_backend *b = w->h2_all; b; b = b->all_next)
        count += b->ready && b->session.count == 0 && b->carrier->pool_row == pool_row;
    return count;
}

static bool had_enough(const struct h2_backend *b)
{
    const struct worker *w = b->session.worker;
    const struct entry *e = entry_at(w->table, b->entry);
    uint32_t row = b->carrier->pool_row;
    uint64_t idle_us = w->now_us - b->since_us;
    bool gone = word_get(&e->state) != ROW_LIVE || word_get(&e->incarnation) != b->incarnation;
    return gone || b->spent || idle_us >= (uint64_t)w->idle_ms[row] * 1000 ||
           (idle_us >= EXCESS_US && count_idle(w, row) > w->idle_keep[row]);
}

void h2_backends_sweep(struct worker *w)
{
    for (struct h2_backend *b = w->h2_all, *next; b; b = next) {
        next = b->all_next;
        if (!b->ready && w->now_us - b->since_us >= (uint64_t)b->pool->timeouts.connect_ms * 1000)
            h2_backend_close(b, "not connected in time");
        else if (b->ready && b->session.count == 0 && had_enough(b))
            h2_backend_close(b, "idle");
    }
}
