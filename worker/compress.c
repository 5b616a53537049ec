/* worker/compress.c: compressors, and the bytes that go through them. */
#include "worker/compress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf/route.h"
#include "worker/account.h"
#include "worker/cache.h"
#include "worker/coder.h"
#include "worker/conn.h"
#include "worker/relay.h"

#define AT_WORK_MAX 256u /* of a worker */
#define KEPT_MAX    16u
#define IDLE_US     2000u  /* without input: what was taken is flushed */
#define HELD_US     50000u /* and at the latest after so long */
#define CHUNK_ROOM  12u    /* for the size of a chunk before it */
#define TAIL_ROOM   16u    /* for its end, and for the last chunk */

struct compressors {
    struct compressor *kept;
    uint32_t kept_count, at_work;
};

static void on_idle(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)revents;
    struct compressor *z = CONTAINER_OF(timer, struct compressor, idle);
    struct txn *t = z->txn;
    struct conn *c = t->conn;
    MAGIC_CHECK(t, TXN_MAGIC);
    uint64_t now_us = t->worker->now_us;
    if (now_us < z->taken_us + IDLE_US && now_us < z->held_us + HELD_US) {
        ev_timer_set(timer, (double)IDLE_US / 1e6, 0.);
        ev_timer_start(loop, timer);
        return;
    }
    z->flush = z->held;
    relay_response_push(t);
    conn_continue(c);
}

/* ---- life ---- */

static struct compressors *pool_of(struct worker *w)
{
    if (!w->compressors)
        w->compressors = calloc(1, sizeof *w->compressors);
    return w->compressors;
}

/* One that was used before with this coding and level, or any other, or NULL. */
static struct compressor *take_kept(struct compressors *p, enum conf_coding coding, uint32_t level)
{
    struct compressor **at = &p->kept;
    while (*at && !coder_fits((*at)->coder, coding, level))
        at = &(*at)->next;
    struct compressor *z = *at;
    if (!z)
        return NULL;
    *at = z->next;
    p->kept_count--;
    return z;
}

static void destroy(struct compressor *z)
{
    coder_free(z->coder);
    free(z);
}

static struct compressor *make(enum conf_coding coding, uint32_t level)
{
    struct compressor *z = calloc(1, sizeof *z);
    if (z && (z->coder = coder_new(coding, level)))
        return z;
    free(z);
    return NULL;
}

static void put(struct compressors *p, struct compressor *z)
{
    p->at_work--;
    if (p->kept_count >= KEPT_MAX) { /* the one kept longest goes: codings change */
        struct compressor **last = &p->kept;
        while ((*last)->next)
            last = &(*last)->next;
        destroy(*last);
        *last = NULL;
        p->kept_count--;
    }
    z->next = p->kept;
    p->kept = z;
    p->kept_count++;
}

struct compressor *compress_begin(struct txn *t, uint64_t size_bytes)
{
    struct compressors *p = pool_of(t->worker);
    uint32_t level = t->route->compress->level;
    if (!p || p->at_work >= AT_WORK_MAX)
        return NULL;
    struct compressor *z = take_kept(p, t->coding, level);
    if (!z && !(z = make(t->coding, level)))
        return NULL;
    if (!coder_begin(z->coder, size_bytes)) {
        destroy(z);
        return NULL;
    }
    *z = (struct compressor){.coder = z->coder, .txn = t};
    ev_timer_init(&z->idle, on_idle, (double)IDLE_US / 1e6, 0.);
    p->at_work++;
    account_compression(t);
    return z;
}

void compress_end(struct txn *t)
{
    struct compressor *z = t->compressor;
    struct buf_pool *bufs = &t->worker->bufs;
    ev_timer_stop(t->worker->loop, &z->idle);
    buf_put(bufs, z->out);
    buf_put(bufs, z->trailers);
    put(t->worker->compressors, z);
    t->compressor = NULL;
}

/* ---- bytes ---- */

/* What stands at CHUNK_ROOM becomes a chunk. */
static void frame(struct buf *b, uint32_t len)
{
    char head[CHUNK_ROOM];
    uint32_t head_len = (uint32_t)snprintf(head, sizeof head, "%x\r\n", len);
    b->start = CHUNK_ROOM - head_len;
    b->end = CHUNK_ROOM + len;
    memcpy(buf_at(b), head, head_len);
    buf_append(b, "\r\n", 2);
}

/* The end of the answer. False: no memory. */
static bool end_chunks(struct txn *t)
{
    struct compressor *z = t->compressor;
    uint32_t trailers = z->trailers ? buf_len(z->trailers) : 0;
    if (!buf_reserve(&t->worker->bufs, &z->out, trailers + 5))
        return false;
    buf_append(z->out, "0\r\n", 3);
    if (trailers) /* the empty line behind them included */
        buf_append(z->out, buf_at(z->trailers), trailers);
    else
        buf_append(z->out, "\r\n", 2);
    z->ended = true;
    return true;
}

static enum coder_op next_op(const struct txn *t)
{
    return t->res_done ? CODER_END : t->compressor->flush ? CODER_FLUSH : CODER_RUN;
}

static void took(struct txn *t, const struct coder_io *io, uint32_t made)
{
    uint32_t n = t->res_ready - (uint32_t)io->in_len;
    if (t->rbuf)
        t->rbuf->start += n;
    t->res_ready -= n;
    account_compressed(t, n, made);
}

/* Something went in that may not have come out. */
static void hold(struct txn *t)
{
    struct compressor *z = t->compressor;
    z->taken_us = t->worker->now_us;
    if (z->held)
        return;
    z->held = true;
    z->held_us = t->worker->now_us;
    ev_timer_set(&z->idle, (double)IDLE_US / 1e6, 0.);
    ev_timer_start(t->worker->loop, &z->idle);
}

static void let_go(struct txn *t)
{
    struct compressor *z = t->compressor;
    z->held = z->flush = false;
    ev_timer_stop(t->worker->loop, &z->idle);
}

static void remember(struct txn *t, const char *bytes, uint32_t len, bool all)
{
    cache_coded_keep(t, bytes, len);
    if (all)
        cache_coded_complete(t);
}

bool compress_fill(struct txn *t)
{
    struct compressor *z = t->compressor;
    enum coder_op op = next_op(t);
    if (z->ended || (op == CODER_RUN && t->res_ready == 0))
        return true;
    if (!z->out && !(z->out = buf_get(&t->worker->bufs, false)))
        return false;
    uint8_t *to = (uint8_t *)z->out->data + CHUNK_ROOM;
    struct coder_io io = {(const uint8_t *)(t->rbuf ? buf_at(t->rbuf) : ""), t->res_ready, to,
                          z->out->cap - CHUNK_ROOM - TAIL_ROOM};
    enum coder_result r = coder_step(z->coder, &io, op);
    if (r == CODER_FAILED)
        return false;
    uint32_t made = (uint32_t)(io.out - to);
    took(t, &io, made);
    if (z->remembered)
        remember(t, (const char *)to, made, op == CODER_END && r == CODER_DONE);
    z->out->start = z->out->end = CHUNK_ROOM;
    if (made)
        frame(z->out, made);
    if (op == CODER_RUN)
        hold(t);
    else if (r == CODER_DONE)
        let_go(t);
    return op != CODER_END || r != CODER_DONE || end_chunks(t);
}

void compress_trailers(struct txn *t, const char *lines, uint32_t len)
{
    struct compressor *z = t->compressor;
    if (buf_reserve(&t->worker->bufs, &z->trailers, len))
        buf_append(z->trailers, lines, len);
}
