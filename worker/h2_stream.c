/* worker/h2_stream.c: the link of a stream's conn: text in, text out. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "worker/conn.h"
#include "worker/h2_int.h"

#define CHUNK_ROOM 16u /* of a chunk's size line and its end */

static const struct link_ops h2_stream_ops;

static struct h2_stream *self(struct link *l)
{
    return CONTAINER_OF(l, struct h2_stream, link);
}

void h2_feed(struct h2_stream *st, int events)
{
    if (st->io)
        ev_feed_event(st->session->worker->loop, st->io, events);
}

/* ---- to the conn ---- */

static uint32_t waiting(const struct buf *b)
{
    return b ? buf_len(b) : 0;
}

/* ---- trailers behind a body of known length ----
 *
 * Text has no place for them, so they go past it, from a backend's stream to a client's and the
 * other way. The last byte waits for them: with it the message is complete. */

struct h2_stream *h2_client_of(const struct h2_stream *st)
{
    const struct conn *c = st->up && st->up->txn ? st->up->txn->conn : NULL;
    return c && c->link && c->link->ops == &h2_stream_ops ? self(c->link) : NULL;
}

/* Could the other side take trailers? A request without a pool may get one that can. */
static bool past_text(const struct h2_stream *st)
{
    const struct txn *t = st->conn ? st->conn->txn : NULL;
    if (!st->conn)
        return h2_client_of(st) != NULL;
    return !t || !t->pool || t->pool->conf->protocol != CONF_TO_HTTP1;
}

static uint32_t held(const struct h2_stream *st)
{
    bool last = st->in_body == H2_LENGTH && st->in_left && waiting(st->raw) == st->in_left;
    return last && !st->in_end && past_text(st) ? 1 : 0;
}

static void hand_over(struct h2_stream *st)
{
    struct h2_stream *client = st->tail && st->in_body == H2_LENGTH ? h2_client_of(st) : NULL;
    if (!client || client->trailers)
        return;
    client->trailers = st->tail;
    st->tail = NULL;
}

static bool is_readable(const struct h2_stream *st)
{
    return waiting(st->head) || waiting(st->raw) > held(st) || (st->in_end && !st->end_read) ||
           (st->ended && !st->in_end);
}

/* Moves what fits from one buffer to the other; gives an empty one back. */
static uint32_t move(struct h2_stream *st, struct buf **from, struct buf *to, uint32_t most)
{
    uint32_t n = waiting(*from) < most ? waiting(*from) : most;
    buf_append(to, buf_at(*from), n);
    (*from)->start += n;
    if (buf_len(*from) == 0) {
        buf_put(&st->session->worker->bufs, *from);
        *from = NULL;
    }
    return n;
}

static void consumed(struct h2_stream *st, uint32_t n)
{
    if (st->ended || st->session->broken)
        return;
    (void)nghttp2_session_consume_stream(st->session->ng, st->id, n);
    h2_wake(st->session);
}

static ssize_t read_data(struct h2_stream *st, struct buf *b)
{
    char line[CHUNK_ROOM];
    bool framed = st->in_body == H2_CHUNKED;
    uint32_t room = buf_room(b);
    if (framed && room <= CHUNK_ROOM)
        return 0;
    room -= framed ? CHUNK_ROOM : 0;
    uint32_t ready = waiting(st->raw) - held(st);
    uint32_t n = ready < room ? ready : room;
    if (n == 0)
        return 0;
    if (st->in_end && st->up)
        hand_over(st);
    if (framed)
        buf_append(b, line, (size_t)snprintf(line, sizeof line, "%x\r\n", n));
    (void)move(st, &st->raw, b, n);
    st->in_left -= st->in_left < n ? st->in_left : n;
    if (framed)
        buf_append(b, "\r\n", 2);
    consumed(st, n);
    return (ssize_t)n;
}

/* The client's half is over. -1: no room for the last chunk. */
static ssize_t read_end(struct h2_stream *st, struct buf *b)
{
    if (st->in_body == H2_CHUNKED) {
        uint32_t tail = waiting(st->tail);
        if (buf_room(b) < tail + 5)
            return -1;
        buf_append(b, "0\r\n", 3);
        if (tail)
            (void)move(st, &st->tail, b, tail);
        buf_append(b, "\r\n", 2);
    }
    st->end_read = true;
    return 0;
}

static ssize_t stream_recv(struct link *l, struct buf *b)
{
    struct h2_stream *st = self(l);
    uint32_t before = buf_len(b);
    if (waiting(st->head) && buf_room(b))
        (void)move(st, &st->head, b, buf_room(b));
    if (!waiting(st->head) && waiting(st->raw) && buf_room(b))
        (void)read_data(st, b);
    if (!waiting(st->head) && !waiting(st->raw) && st->in_end && !st->end_read &&
        read_end(st, b) == 0 && st->in_body == H2_RAW && buf_len(b) == before)
        return 0; /* the end of a tunnel's half is one */
    if (buf_len(b) > before)
        return (ssize_t)(buf_len(b) - before);
    errno = st->ended && !st->in_end ? ECONNRESET : EAGAIN;
    return -1;
}

/* ---- from the conn ---- */

static ssize_t take_run(struct h2_stream *st, struct buf *b, uint32_t ready)
{
    ssize_t n = h2_response_take(st, buf_at(b), ready);
    if (n > 0)
        b->start += (uint32_t)n;
    return n;
}

static ssize_t stream_send(struct link *l, struct buf *first, struct buf *second,
                           uint32_t second_ready)
{
    struct h2_stream *st = self(l);
    ssize_t total = 0, n = 0;
    if (st->ended) {
        errno = ECONNRESET;
        return -1;
    }
    uint32_t len = waiting(first);
    if (len && (n = take_run(st, first, len)) < 0)
        return -1;
    total = n;
    if ((uint32_t)total == len && second && second_ready) {
        n = take_run(st, second, second_ready);
        if (n < 0 && total == 0)
            return -1;
        total += n > 0 ? n : 0;
    }
    if (total == 0) {
        errno = EAGAIN;
        return -1;
    }
    h2_wake(st->session);
    return total;
}

static int stream_shut(struct link *l)
{
    struct h2_stream *st = self(l);
    st->complete = true;
    if (st->deferred && !st->ended)
        (void)nghttp2_session_resume_data(st->session->ng, st->id);
    st->deferred = false;
    h2_wake(st->session);
    return 0;
}

static void stream_want(struct link *l, int events)
{
    struct h2_stream *st = self(l);
    int now = 0;
    ev_io_modify(st->io, events);
    if (events & EV_READ && is_readable(st))
        now |= EV_READ;
    if (events & EV_WRITE && waiting(st->out) < H2_LOW_BYTES)
        now |= EV_WRITE;
    if (now)
        h2_feed(st, now);
}

static int stream_ready(struct link *l, int revents)
{
    struct h2_stream *st = self(l);
    return st->waiting ? 0 : revents & st->io->events;
}

static bool stream_idle(struct link *l UNUSED)
{
    return false;
}

/* The conn goes. What it answered goes on; an answer that is not complete is cut. */
static void stream_end(struct link *l, bool reset)
{
    struct h2_stream *st = self(l);
    struct buf_pool *p = &st->session->worker->bufs;
    bool over = st->complete && (st->in_end || st->conn);
    st->conn = NULL;
    st->up = NULL;
    st->io = NULL;
    buf_put(p, st->raw);
    buf_put(p, st->head);
    st->raw = st->head = NULL;
    if (st->ended || st->id < 0) {
        h2_stream_free(st);
        return;
    }
    if (!over || reset)
        (void)nghttp2_submit_rst_stream(st->session->ng, NGHTTP2_FLAG_NONE, st->id,
                                        st->session->back ? NGHTTP2_CANCEL
                                        : st->head_sent   ? NGHTTP2_INTERNAL_ERROR
                                                          : NGHTTP2_REFUSED_STREAM);
    h2_wake(st->session);
}

static const struct link_ops h2_stream_ops = {
    .recv = stream_recv,
    .send = stream_send,
    .shut = stream_shut,
    .want = stream_want,
    .ready = stream_ready,
    .idle = stream_idle,
    .end = stream_end,
    .virtual_fd = true,
};

/* ---- life ---- */

void h2_init(struct worker *w)
{
    slab_init(&w->stream_slab, sizeof(struct h2_stream));
}

struct h2_stream *h2_stream_new(struct h2_session *s, int32_t id)
{
    struct h2_stream *st = slab_get(&s->worker->stream_slab);
    if (!st)
        return NULL;
    memset(st, 0, sizeof *st);
    st->link.ops = &h2_stream_ops;
    st->session = s;
    st->id = id;
    st->next = s->streams;
    if (s->streams)
        s->streams->prev = st;
    s->streams = st;
    s->count++;
    return st;
}

void h2_stream_free(struct h2_stream *st)
{
    struct h2_session *s = st->session;
    struct buf_pool *p = &s->worker->bufs;
    struct buf *const owned[] = {st->head,   st->cookie, st->raw,     st->tail,
                                 st->pseudo, st->out,    st->trailers};
    for (size_t i = 0; i < ARRAY_LEN(owned); i++)
        buf_put(p, owned[i]);
    if (st->prev)
        st->prev->next = st->next;
    else
        s->streams = st->next;
    if (st->next)
        st->next->prev = st->prev;
    s->count--;
    slab_put(&s->worker->stream_slab, st);
    if (s->back)
        h2_backend_stream_gone(s->back);
}

bool h2_stream_serve(struct h2_stream *st)
{
    st->conn = conn_open_stream(st->session->conn, &st->link);
    if (!st->conn)
        return false;
    st->io = &st->conn->io;
    h2_feed(st, EV_READ);
    return true;
}

bool h2_stream_data(struct h2_stream *st, const uint8_t *data, size_t len)
{
    struct buf_pool *p = &st->session->worker->bufs;
    if (!st->io) { /* answered already: nobody wants it */
        consumed(st, (uint32_t)len);
        return true;
    }
    if (len > H2_WINDOW_BYTES || !buf_reserve(p, &st->raw, (uint32_t)len))
        return false;
    buf_append(st->raw, data, len);
    if (st->io->events & EV_READ)
        h2_feed(st, EV_READ);
    return true;
}

void h2_stream_input_end(struct h2_stream *st)
{
    st->in_end = true;
    if (st->in_body == H2_NONE || st->in_body == H2_LENGTH)
        st->end_read = true; /* the head, or its length, said so */
    if (st->io && (!st->end_read || waiting(st->raw)) && st->io->events & EV_READ)
        h2_feed(st, EV_READ);
}

void h2_stream_closed(struct h2_stream *st)
{
    st->ended = true;
    if (st->up)
        h2_feed(st, EV_READ);
    else if (st->conn)
        conn_close(st->conn, st->complete ? "stream finished" : "client reset the stream");
    else
        h2_stream_free(st);
}
