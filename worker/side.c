#include "worker/side.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "base/net.h"
#include "base/proxy_proto.h"
#include "worker/link.h"
#include "worker/tls.h"
#include "worker/worker_int.h"

#define SIDE_MAGIC 0x51DE51DEu
#define SIDES_MAX  1024u /* per worker */

static const struct http1_limits limits = {BUF_LARGE_BYTES - 4096, HTTP1_HEADERS_MAX};

struct side {
    uint32_t magic;
    struct worker *worker;
    struct gen *gen;
    const struct conf_pool *pool;
    struct upstream up; /* what TLS takes for its backend connection; no other file sees it */
    struct ev_timer timer;
    struct buf *out, *in;
    struct http1_head *head;
    side_done *done;
    void *data;
    uint32_t timeout_ms;
    bool connecting, is_head;
};

size_t side_bytes(void)
{
    return sizeof(struct side);
}

static void end(struct side *s, bool answered)
{
    struct worker *w = s->worker;
    side_done *done = s->done;
    void *data = s->data;
    struct http1_head *head = s->head;
    struct buf *in = s->in;
    struct gen *gen = s->gen;
    link_end(s->up.link, w->loop, &s->up.io, false);
    close(s->up.io.fd);
    ev_timer_stop(w->loop, &s->timer);
    entry_release(w->table, s->up.entry, w->slot);
    w->queue_due |= w->queued > 0;
    buf_put(&w->bufs, s->out);
    MAGIC_SET(s, 0);
    slab_put(&w->side_slab, s);
    w->side_count--;
    if (done)
        done(data, answered ? head : NULL, answered ? buf_at(in) : NULL);
    if (head)
        slab_put(&w->head_slab, head);
    buf_put(&w->bufs, in);
    gen_unref(w, gen);
}

void side_leave(struct side *s)
{
    s->done = NULL;
}

void side_cancel(struct side *s)
{
    s->done = NULL;
    end(s, false);
}

/* ---- sending ---- */

static void watch(struct side *s)
{
    link_watch(s->up.link, s->worker->loop, &s->up.io, EV_READ | (buf_len(s->out) ? EV_WRITE : 0));
}

static bool push(struct side *s)
{
    ssize_t n = link_send(s->up.link, s->up.io.fd, s->out, NULL, 0);
    if (n == -1 && errno != EAGAIN)
        return false;
    watch(s);
    return true;
}

/* A PROXY header where the pool wants one: this is a connection of our own. */
static bool announce(struct side *s)
{
    char out[PROXY_PROTO_OUT_MAX];
    if (!s->pool->proxy_protocol)
        return true;
    size_t n = proxy_proto_write(s->pool->proxy_protocol, NULL, NULL, out);
    return send(s->up.io.fd, out, n, MSG_NOSIGNAL) == (ssize_t)n; /* a new socket has room */
}

void side_ready(struct side *s)
{
    s->connecting = false;
    if (!push(s))
        end(s, false);
}

void side_failed(struct side *s)
{
    end(s, false);
}

static void connected(struct side *s)
{
    if (net_connect_result(s->up.io.fd) != 0 || !announce(s))
        end(s, false);
    else if (!s->pool->tls)
        side_ready(s);
    else if (tls_connect(&s->up, s->gen, s->pool, true))
        (void)s->up.link->ops->ready(s->up.link, 0); /* the first flight */
    else
        end(s, false);
}

bool side_append(struct side *s, const char *bytes, uint32_t len)
{
    struct worker *w = s->worker;
    if (!buf_reserve(&w->bufs, &s->out, len))
        return false;
    buf_append(s->out, bytes, len);
    s->timer.repeat = s->timeout_ms / 1000.;
    ev_timer_again(w->loop, &s->timer);
    if (!s->connecting)
        watch(s);
    return true;
}

/* ---- the answer ---- */

enum step { WAITS, HAS_HEAD, BROKEN };

static enum step parse(struct side *s)
{
    for (;;) {
        switch (http1_parse_response(s->head, buf_at(s->in), buf_len(s->in), &limits, s->is_head,
                                     false)) {
        case HTTP1_MORE: return WAITS;
        case HTTP1_ERROR: return BROKEN;
        case HTTP1_DONE: break;
        }
        if (s->head->status >= 200)
            return HAS_HEAD;
        s->in->start += s->head->head_bytes;
        http1_head_reset(s->head);
    }
}

static enum step take(struct side *s)
{
    if (!s->head && !(s->head = slab_get(&s->worker->head_slab)))
        return BROKEN;
    if (!s->in)
        http1_head_reset(s->head);
    if (!buf_reserve(&s->worker->bufs, &s->in, 1))
        return BROKEN;
    ssize_t n = link_recv(s->up.link, s->up.io.fd, s->in);
    if (n > 0)
        return parse(s);
    return n == -1 && errno == EAGAIN ? WAITS : BROKEN;
}

static void exchange(struct side *s, int events)
{
    enum step step = events & EV_READ ? take(s) : WAITS;
    if (step == WAITS && events & EV_WRITE && !push(s))
        step = BROKEN;
    if (step != WAITS)
        end(s, step == HAS_HEAD);
    else if (s->up.link)
        watch(s); /* it may hold bytes that no descriptor announces */
}

static void on_io(struct ev_loop *loop UNUSED, struct ev_io *io, int events)
{
    struct side *s = CONTAINER_OF(io, struct side, up.io);
    MAGIC_CHECK(s, SIDE_MAGIC);
    if (s->up.link && !(events = s->up.link->ops->ready(s->up.link, events)))
        return;
    if (s->connecting)
        connected(s);
    else
        exchange(s, events);
}

static void on_timeout(struct ev_loop *loop UNUSED, struct ev_timer *timer, int events UNUSED)
{
    struct side *s = CONTAINER_OF(timer, struct side, timer);
    MAGIC_CHECK(s, SIDE_MAGIC);
    end(s, false);
}

/* ---- the beginning ---- */

/* A place at one of the pool's backends, or INDEX_NONE. */
static uint32_t reserve(struct worker *w, struct pool_rt *pool)
{
    struct lb_view *v = &pool->view;
    struct lb_request r = {.random = worker_random(w), .now_us = w->now_us};
    r.key = r.random;
    if (lb_view_refresh(v, w->now_us) == -1)
        return INDEX_NONE;
    while (v->count && r.tried_count < LB_TRIED_MAX) {
        uint32_t entry = v->algorithm->select(v, &r);
        if (entry == INDEX_NONE)
            break;
        const struct entry *e = entry_at(w->table, entry);
        uint32_t incarnation = word_get(&e->incarnation);
        if (word_get(&e->pool) == v->pool && entry_reserve(w->table, entry, incarnation, w->slot))
            return entry;
        r.tried[r.tried_count++] = entry;
    }
    return INDEX_NONE;
}

static bool connect_to(struct side *s, struct worker *w, struct pool_rt *pool)
{
    uint32_t entry = reserve(w, pool);
    if (entry == INDEX_NONE)
        return false;
    const struct entry *e = entry_at(w->table, entry);
    int fd = net_connect(&e->addr);
    if (fd == -1) {
        entry_release(w->table, entry, w->slot);
        return false;
    }
    net_set_nodelay(fd);
    s->up = (struct upstream){.entry = entry, .worker = w, .side = s};
    s->up.incarnation = word_get(&e->incarnation);
    ev_io_init(&s->up.io, on_io, fd, EV_WRITE);
    return true;
}

static struct side *open_side(struct worker *w, struct pool_rt *pool)
{
    struct side *s = w->side_count < SIDES_MAX ? slab_get(&w->side_slab) : NULL;
    if (!s)
        return NULL;
    memset(s, 0, sizeof *s);
    s->pool = pool->conf;
    if (connect_to(s, w, pool))
        return s;
    slab_put(&w->side_slab, s);
    return NULL;
}

struct side *side_start(struct worker *w, struct gen *g, struct pool_rt *pool, struct buf *out,
                        uint32_t timeout_ms, side_done *done, void *data)
{
    struct side *s = open_side(w, pool);
    if (!s) {
        buf_put(&w->bufs, out);
        return NULL;
    }
    MAGIC_SET(s, SIDE_MAGIC);
    s->worker = w;
    s->gen = g;
    gen_ref(g);
    s->out = out;
    s->done = done;
    s->data = data;
    s->connecting = true;
    s->timeout_ms = timeout_ms;
    s->is_head = buf_len(out) > 5 && memcmp(buf_at(out), "HEAD ", 5) == 0;
    w->side_count++;
    ev_io_start(w->loop, &s->up.io);
    ev_timer_init(&s->timer, on_timeout, timeout_ms / 1000., 0.);
    ev_timer_start(w->loop, &s->timer);
    return s;
}
