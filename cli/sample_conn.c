/* cli/sample_conn.c: one connection of the sample backend: read a head, read its body, perhaps
 * wait, write the answer, again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/magic.h"
#include "cli/sample.h"

static const struct http1_limits limits = {.head_bytes = SAMPLE_IN_BYTES, .headers = 200};
static const char filler[65536] = {[0 ... 65535] = 'x'};

static void conn_close(struct sample_conn *c)
{
    struct sample_server *s = c->server;

    ev_io_stop(s->loop, &c->io);
    ev_timer_stop(s->loop, &c->delay);
    close(c->fd);
    json_free(&c->answer);
    free(c->out.buf);
    if (c->prev)
        c->prev->next = c->next;
    else
        s->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    MAGIC_CLEAR(c);
    free(c);
    if (--s->conn_count == 0 && s->draining && s->on_drained)
        s->on_drained(s->drained_arg);
}

static bool writing(const struct sample_conn *c)
{
    return c->out.off < c->out.len || c->filler_left > 0;
}

static void watch(struct sample_conn *c)
{
    int events = 0;

    if (writing(c))
        events = EV_WRITE; /* nothing is read while the client does not take what it asked for */
    else if (c->state != SAMPLE_DELAY)
        events = EV_READ;
    if (ev_is_active(&c->io) && (c->io.events & (EV_READ | EV_WRITE)) == events)
        return;
    ev_io_stop(c->server->loop, &c->io);
    ev_io_set(&c->io, c->fd, events);
    if (events)
        ev_io_start(c->server->loop, &c->io);
}

/* Takes len bytes off the front of the input. */
static void consume(struct sample_conn *c, uint32_t len)
{
    c->in_len -= len;
    memmove(c->in, c->in + len, c->in_len);
}

static void begin_request(struct sample_conn *c)
{
    c->state = SAMPLE_HEAD;
    c->body_done = false;
    c->body_bytes = 0;
    c->out.len = c->out.off = 0;
    http1_head_reset(&c->head);
}

/* Looks at the bytes behind the head. True when something was done and it pays to look again. */
static bool read_head(struct sample_conn *c)
{
    enum http1_result r = http1_parse_request(&c->head, c->in, c->in_len, &limits);

    if (r == HTTP1_MORE)
        return false;
    if (r == HTTP1_ERROR) {
        sample_reply_error(c, c->head.status, c->head.error);
        c->state = SAMPLE_WRITE;
        return true;
    }
    c->keep_alive = c->head.keep_alive && !c->server->draining;
    c->is_head = c->head.is_head;
    c->body_left = c->head.body == HTTP1_BODY_LENGTH ? c->head.content_length : 0;
    http1_chunked_reset(&c->chunked);
    if (sample_ws_wanted(c)) {
        sample_ws_accept(c);
        c->state = SAMPLE_WS;
    } else {
        sample_describe(c);
        if (c->head.expect_continue && c->head.body != HTTP1_BODY_NONE)
            sample_out_printf(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
        c->state = SAMPLE_BODY;
    }
    consume(c, c->head.head_bytes);
    return true;
}

static enum http1_result skip_chunked(struct sample_conn *c)
{
    struct http1_span payload;
    enum http1_result r;
    uint32_t used;

    do {
        r = http1_chunked_step(&c->chunked, c->in, c->in_len, &used, &payload);
        if (r == HTTP1_ERROR)
            return r;
        c->body_bytes += payload.len;
        consume(c, used);
    } while (r == HTTP1_MORE && used > 0 && c->in_len > 0);
    return r;
}

static enum http1_result skip_length(struct sample_conn *c)
{
    uint32_t take = c->body_left < c->in_len ? (uint32_t)c->body_left : c->in_len;

    c->body_left -= take;
    c->body_bytes += take;
    consume(c, take);
    return c->body_left == 0 ? HTTP1_DONE : HTTP1_MORE;
}

static bool read_body(struct sample_conn *c)
{
    const struct sample_options *o = &c->server->options;
    enum http1_result r = c->head.body == HTTP1_BODY_CHUNKED ? skip_chunked(c) : skip_length(c);

    if (r == HTTP1_MORE)
        return false;
    if (r == HTTP1_ERROR) {
        sample_reply_error(c, 400, "malformed chunked body");
        c->state = SAMPLE_WRITE;
        return true;
    }
    if (o->delay_ms > 0) {
        c->state = SAMPLE_DELAY;
        ev_timer_set(&c->delay, o->delay_ms / 1000.0, 0.);
        ev_timer_start(c->server->loop, &c->delay);
        return false;
    }
    sample_reply(c);
    c->state = SAMPLE_WRITE;
    return true;
}

/* Writes what is due. 1: all of it, 0: the socket is full, -1: the client is gone. */
static int flush(struct sample_conn *c)
{
    while (writing(c)) {
        size_t head = c->out.len - c->out.off;
        size_t len = head ? head : sizeof(filler);
        if (!head && len > c->filler_left)
            len = (size_t)c->filler_left;
        ssize_t n = send(c->fd, head ? c->out.buf + c->out.off : filler, len, MSG_NOSIGNAL);
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1)
            return errno == EAGAIN ? 0 : -1;
        if (head)
            c->out.off += (size_t)n;
        else
            c->filler_left -= (uint64_t)n;
    }
    c->out.len = c->out.off = 0;
    return 1;
}

/* One step of the connection's life. True: look again; false: wait for the client. *gone: close it.
 */
static bool step(struct sample_conn *c, bool *gone)
{
    int flushed = flush(c);

    *gone = flushed == -1;
    if (flushed != 1)
        return false;
    switch (c->state) {
    case SAMPLE_HEAD: return c->in_len > 0 && read_head(c);
    case SAMPLE_BODY: return read_body(c);
    case SAMPLE_DELAY: return false;
    case SAMPLE_WRITE: /* and written */
        *gone = !c->keep_alive;
        begin_request(c);
        return c->in_len > 0;
    case SAMPLE_WS: break;
    }
    if (c->ws.closing) {
        *gone = true;
        return false;
    }
    c->ws.closing = !sample_ws_read(c);
    return writing(c) || c->ws.closing;
}

/* Goes on as far as the bytes at hand allow. */
static void run(struct sample_conn *c)
{
    bool gone = false;

    while (!gone && step(c, &gone))
        ;
    if (gone || (c->server->draining && c->state == SAMPLE_HEAD && c->in_len == 0))
        conn_close(c);
    else
        watch(c);
}

static void on_delay(EV_P_ ev_timer *w, int revents UNUSED)
{
    struct sample_conn *c = CONTAINER_OF(w, struct sample_conn, delay);

    MAGIC_CHECK(c, SAMPLE_CONN_MAGIC);
    sample_reply(c);
    c->state = SAMPLE_WRITE;
    run(c);
    (void)loop;
}

/* Reads once. 1: something came, 0: nothing is there, -1: the client is gone. */
static int receive(struct sample_conn *c)
{
    ssize_t n = read(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len);

    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -1;
    c->in_len += (uint32_t)n;
    return 1;
}

static void on_io(EV_P_ ev_io *w, int revents)
{
    struct sample_conn *c = CONTAINER_OF(w, struct sample_conn, io);
    int got = 1;

    MAGIC_CHECK(c, SAMPLE_CONN_MAGIC);
    if (revents & EV_READ)
        got = receive(c);
    if (got == -1)
        conn_close(c);
    else if (got == 1)
        run(c);
    (void)loop;
}

void sample_conn_open(struct sample_server *s, int fd)
{
    struct sample_conn *c = calloc(1, sizeof(*c));

    if (!c) {
        log_error("sample backend: out of memory");
        close(fd);
        return;
    }
    MAGIC_SET(c, SAMPLE_CONN_MAGIC);
    c->server = s;
    c->fd = fd;
    c->next = s->conns;
    if (s->conns)
        s->conns->prev = c;
    s->conns = c;
    s->conn_count++;
    json_init(&c->answer);
    ev_io_init(&c->io, on_io, fd, EV_READ);
    ev_timer_init(&c->delay, on_delay, 0., 0.);
    begin_request(c);
    watch(c);
}

void sample_conn_drain(struct sample_conn *c)
{
    bool idle = c->state == SAMPLE_HEAD && c->in_len == 0;

    c->keep_alive = false;
    if (idle && receive(c) == 1) /* a request that came just before the end is still answered */
        run(c);
    else if (idle || c->state == SAMPLE_WS)
        conn_close(c);
}
