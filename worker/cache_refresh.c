/*
 * worker/cache_refresh.c: a stale response is fetched anew for nobody, while those who ask get it
 * (RFC 5861 3). A request as any other, for the backend: the head of the one that was served stale,
 * without its conditions, from a conn that swallows what it is sent.
 */
#include <errno.h>
#include <string.h>
#include "worker/cache_int.h"
#include "worker/conn.h"
#include "worker/link.h"
#include "worker/txn.h"
#include "worker/txn_start.h"
#include "worker/worker_int.h"

/* ---- a client that is not there ---- */

static ssize_t sink_recv(struct link *l UNUSED, struct buf *b UNUSED)
{
    errno = EAGAIN;
    return -1;
}

static ssize_t sink_send(struct link *l UNUSED, struct buf *first, struct buf *second,
                         uint32_t second_ready)
{
    size_t n = (first ? buf_len(first) : 0) + (second ? second_ready : 0);
    link_consume(first, second, n);
    return (ssize_t)n;
}

static int sink_shut(struct link *l UNUSED)
{
    return 0;
}

static void sink_want(struct link *l UNUSED, int events UNUSED)
{
}

static int sink_ready(struct link *l UNUSED, int revents UNUSED)
{
    return 0;
}

static bool sink_idle(struct link *l UNUSED)
{
    return false;
}

static void sink_end(struct link *l UNUSED, bool reset UNUSED)
{
}

static const struct link_ops sink_ops = {.recv = sink_recv,
                                         .send = sink_send,
                                         .shut = sink_shut,
                                         .want = sink_want,
                                         .ready = sink_ready,
                                         .idle = sink_idle,
                                         .end = sink_end,
                                         .virtual_fd = true};
static struct link sink = {&sink_ops};

/* ---- its request ---- */

static bool copy_buf(struct worker *w, struct buf **to, struct buf *from, uint32_t len)
{
    if (!buf_reserve(&w->bufs, to, len))
        return false;
    buf_append(*to, buf_at(from), len);
    return true;
}

/* A GET, whatever the client's method. */
static bool write_head(struct conn *c, const struct http1_head *h, const char *base)
{
    static const struct http1_limits limits = {BUF_LARGE_BYTES, HTTP1_HEADERS_MAX};
    struct worker *w = c->worker;
    uint32_t skip = h->method.off + h->method.len;
    if (!buf_reserve(&w->bufs, &c->in, h->head_bytes) || !(c->head = slab_get(&w->head_slab)))
        return false;
    buf_append(c->in, "GET", 3);
    buf_append(c->in, base + skip, h->head_bytes - skip);
    http1_head_reset(c->head);
    return http1_parse_request(c->head, buf_at(c->in), buf_len(c->in), &limits) == HTTP1_DONE;
}

/* On the same way as the other: its route, of its generation. */
static bool take_way(struct txn *own, const struct txn *t)
{
    gen_ref(t->gen);
    gen_unref(own->worker, own->gen);
    own->gen = t->gen;
    own->listener = t->listener;
    own->route = t->route;
    own->pool = t->pool;
    return !t->target || copy_buf(own->worker, &own->target, t->target, buf_len(t->target));
}

/* The same key; the claim changes hands. */
static bool take_key(struct txn *own, struct txn_cache *from)
{
    struct worker *w = own->worker;
    struct txn_cache *tc = slab_get(&w->cache_slab);
    if (!tc)
        return false;
    *tc = (struct txn_cache){.t = own, .rule = from->rule, .quiet = true};
    own->cache = tc;
    w->cache_refreshes++;
    if (!copy_buf(w, &tc->text, from->text, from->key_len))
        return false;
    http_cache_control_init(&tc->asked);
    tc->key_len = from->key_len;
    tc->base = tc->hash = from->base;
    tc->address = from->address;
    tc->claim = from->claim;
    tc->claim_hash = from->claim_hash;
    tc->claimed = true;
    from->claimed = false;
    return true;
}

bool cache_refresh(struct txn_cache *tc)
{
    const char *base;
    const struct http1_head *h = tc->authorized ? NULL : cache_client_head(tc, &base);
    struct conn *c = h ? conn_open_stream(tc->t->conn, &sink) : NULL;
    struct txn *own = c ? txn_begin(c) : NULL;
    if (!own)
        return false;
    if (!write_head(c, h, base) || !take_way(own, tc->t) || !take_key(own, tc)) {
        own->quiet = true;
        conn_close(c, "out of memory");
        return false;
    }
    base = buf_at(c->in);
    own->cache->pinned = cache_key_find(own->cache, c->head, base);
    cache_fetch(own->cache, c->head, base);
    txn_start_own(own);
    return true;
}
