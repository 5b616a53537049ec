#include "admin/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "admin/session_int.h"
#include "admin/endpoint.h"
#include "base/log.h"
#include "base/magic.h"
#include "shm/events.h"

#define SESSION_MAGIC 0xAD31C0DEu

static const struct http1_limits limits = {.head_bytes = SESSION_HEAD_BYTES, .headers = 100};

/* ---- deadlines ---- */

void session_deadline(struct session *c, double seconds)
{
    ev_timer_stop(c->server->loop, &c->timer);
    ev_timer_set(&c->timer, seconds, 0.);
    ev_timer_start(c->server->loop, &c->timer);
}

/* ---- the life of one request ---- */

static void request_end(struct session *c)
{
    if (c->in_request) {
        response_free(&c->r);
        arena_free(&c->arena);
    }
    free(c->body);
    c->body = NULL;
    c->body_bytes = 0;
    c->in_request = false;
}

static void request_begin(struct session *c)
{
    arena_init(&c->arena);
    response_init(&c->r);
    memset(&c->q, 0, sizeof(c->q));
    c->in_request = true;
}

/* Back to HEAD for the next request, which may be in the buffer already. */
static void await_head(struct session *c)
{
    request_end(c);
    http1_head_reset(&c->head);
    c->state = SESSION_HEAD;
    c->unread = false;
    c->idle_since = ev_now(c->server->loop);
    ev_io_start(c->server->loop, &c->read);
    session_deadline(c, c->in_at < c->in_end ? SESSION_HEAD_S : SESSION_IDLE_S);
}

static void too_much_pending(struct session *c)
{
    response_problem(&c->r, 503, "busy", "too many large answers are being sent; try again");
    response_header(&c->r, "Retry-After", "1");
}

/* The answer is complete: from here on it is only sent. */
static enum step begin_write(struct session *c)
{
    size_t body_bytes;
    response_body(&c->r, &body_bytes);
    if (body_bytes > SERVER_PENDING_BYTES - c->server->pending_bytes)
        too_much_pending(c);
    response_body(&c->r, &body_bytes);
    if (c->r.close || c->unread || c->server->api->draining)
        c->keep_alive = false;
    c->out_head_bytes = response_write_head(&c->r, c->keep_alive, c->out_head, sizeof(c->out_head));
    c->out_body_bytes = c->q.head ? 0 : body_bytes;
    c->sent_bytes = 0;
    c->server->pending_bytes += c->out_body_bytes;
    c->state = SESSION_WRITE;
    ev_io_stop(c->server->loop, &c->read);
    session_deadline(c, SESSION_WRITE_S);
    return STEP_AGAIN;
}

static enum step begin_wait(struct session *c)
{
    if (c->r.wait == RESPONSE_WAIT_EVENTS && server_waiting(c->server) >= SERVER_WAITING_MAX)
        return begin_write(c); /* what there is: the client will ask again */
    c->state = SESSION_WAIT;
    c->news_seen = event_last(c->server->api->table);
    session_deadline(c, c->r.wait_ms / 1000.);
    if (c->r.wait == RESPONSE_WAIT_EVENTS)
        server_want_news(c->server);
    return STEP_BLOCKED;
}

static enum step answer(struct session *c)
{
    c->q.body = c->body ? c->body : "";
    c->q.body_bytes = c->body_bytes;
    endpoint_answer(c->server->api, &c->q, &c->r);
    return c->r.wait == RESPONSE_NOW ? begin_write(c) : begin_wait(c);
}

/* A request that cannot be read to its end. */
static enum step refuse(struct session *c, unsigned status, const char *slug, const char *text)
{
    response_problem(&c->r, status, slug, "%s", text);
    c->unread = true;
    return begin_write(c);
}

static enum step bad_head(struct session *c)
{
    request_begin(c);
    return refuse(c, c->head.status, "bad-request", c->head.error ? c->head.error : "bad request");
}

/* ---- HEAD ---- */

static bool send_continue(struct session *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    ssize_t n = send(c->read.fd, text, sizeof(text) - 1, MSG_NOSIGNAL);
    return n == (ssize_t)sizeof(text) - 1; /* an empty socket buffer takes 25 bytes */
}

/* A body follows: refuse now what would be refused anyway. */
static enum step begin_body(struct session *c)
{
    if (!endpoint_find(c->server->api, &c->q, &c->r)) {
        c->unread = true;
        return begin_write(c);
    }
    if (c->head.body == HTTP1_BODY_LENGTH && c->head.content_length > REQUEST_BODY_MAX)
        return refuse(c, 413, "too-large", "the body is larger than 64 KiB");
    if (c->head.expect_continue && c->in_at == c->in_end && !send_continue(c)) {
        session_close(c);
        return STEP_GONE;
    }
    c->body = malloc(REQUEST_BODY_MAX);
    if (!c->body)
        return refuse(c, 503, "no-memory", "out of memory");
    c->body_left = c->head.content_length;
    http1_chunked_reset(&c->chunked);
    c->state = SESSION_BODY;
    session_deadline(c, SESSION_BODY_S);
    return STEP_AGAIN;
}

static enum step head_done(struct session *c)
{
    request_begin(c);
    request_from_head(&c->q, &c->head, c->in + c->in_at, &c->arena);
    c->q.peer = c->peer;
    c->q.bind_loopback = c->bind_loopback;
    c->q.bind_host = c->bind_host;
    c->keep_alive = c->head.keep_alive && c->head.minor >= 1; /* we say nothing to 1.0 */
    c->in_at += c->head.head_bytes;
    bool has_body = c->head.body == HTTP1_BODY_CHUNKED ||
                    (c->head.body == HTTP1_BODY_LENGTH && c->head.content_length);
    return has_body ? begin_body(c) : answer(c);
}

static enum step step_head(struct session *c)
{
    if (c->in_at == c->in_end) {
        session_buffer_drop(c);
        return STEP_BLOCKED;
    }
    switch (http1_parse_request(&c->head, c->in + c->in_at, c->in_end - c->in_at, &limits)) {
    case HTTP1_MORE: return STEP_BLOCKED;
    case HTTP1_ERROR: return bad_head(c);
    case HTTP1_DONE: break;
    }
    return head_done(c);
}

/* ---- BODY ---- */

static enum step step_length(struct session *c)
{
    size_t take = c->in_end - c->in_at;
    if (take > c->body_left)
        take = (size_t)c->body_left;
    memcpy(c->body + c->body_bytes, c->in + c->in_at, take);
    c->body_bytes += take;
    c->in_at += (uint32_t)take;
    c->body_left -= take;
    return c->body_left ? STEP_BLOCKED : answer(c);
}

static enum step step_chunked(struct session *c)
{
    for (;;) {
        uint32_t consumed = 0;
        struct http1_span run = {0, 0};
        const char *at = c->in + c->in_at;
        enum http1_result result =
            http1_chunked_step(&c->chunked, at, c->in_end - c->in_at, &consumed, &run);
        if (result == HTTP1_ERROR)
            return refuse(c, 400, "bad-request", "the chunked body is malformed");
        if (run.len > REQUEST_BODY_MAX - c->body_bytes)
            return refuse(c, 413, "too-large", "the body is larger than 64 KiB");
        memcpy(c->body + c->body_bytes, at + run.off, run.len);
        c->body_bytes += run.len;
        c->in_at += consumed;
        if (result == HTTP1_DONE)
            return answer(c);
        if (consumed == 0)
            return STEP_BLOCKED;
    }
}

/* ---- WRITE ---- */

static void begin_linger(struct session *c)
{
    /* Closing with unread bytes would reset the connection before the client has read our answer.
     */
    shutdown(c->read.fd, SHUT_WR);
    request_end(c);
    session_buffer_drop(c);
    c->state = SESSION_LINGER;
    ev_io_start(c->server->loop, &c->read);
    session_deadline(c, SESSION_LINGER_S);
}

static enum step step_write(struct session *c)
{
    enum step step = session_send(c);
    if (step != STEP_AGAIN)
        return step;
    c->server->pending_bytes -= c->out_body_bytes;
    c->out_body_bytes = 0;
    if (c->keep_alive && !c->server->api->draining) {
        await_head(c);
        /* What is pipelined waits for the next turn of the loop, after everybody else's. */
        if (c->in_at < c->in_end) {
            ev_io_start(c->server->loop, &c->write);
            return STEP_BLOCKED;
        }
        return STEP_AGAIN;
    }
    if (c->unread) {
        begin_linger(c);
        return STEP_BLOCKED;
    }
    session_close(c);
    return STEP_GONE;
}

/* ---- driving ---- */

static enum step take_step(struct session *c)
{
    switch (c->state) {
    case SESSION_HEAD: return step_head(c);
    case SESSION_BODY: return c->head.body == HTTP1_BODY_CHUNKED ? step_chunked(c) : step_length(c);
    case SESSION_WRITE: return step_write(c);
    case SESSION_WAIT:
    case SESSION_LINGER: break;
    }
    return STEP_BLOCKED;
}

void session_advance(struct session *c)
{
    while (take_step(c) == STEP_AGAIN)
        ;
}

/* Bytes arrived. The clock of a head starts with its first byte and is not wound again, so that a
 * slow sender cannot hold on. */
static void take_input(struct session *c, uint32_t had_bytes)
{
    if (c->state == SESSION_HEAD && had_bytes == 0)
        session_deadline(c, SESSION_HEAD_S);
    session_advance(c);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    struct session *c = w->data;
    MAGIC_CHECK(c, SESSION_MAGIC);
    uint32_t had_bytes = c->in_end - c->in_at;
    (void)loop;
    (void)events;
    switch (session_recv(c)) {
    case STEP_AGAIN: take_input(c, had_bytes); break;
    case STEP_BLOCKED:
    case STEP_GONE: break;
    }
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    struct session *c = w->data;
    MAGIC_CHECK(c, SESSION_MAGIC);
    (void)events;
    ev_io_stop(loop, w);
    session_advance(c);
}

static void wait_is_over(struct session *c)
{
    if (c->r.wait == RESPONSE_WAIT_RELOAD)
        response_problem(&c->r, 504, "no-answer", "the master did not answer in time");
    session_resume(c);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
    struct session *c = w->data;
    MAGIC_CHECK(c, SESSION_MAGIC);
    (void)loop;
    (void)events;
    if (c->state == SESSION_WAIT) {
        wait_is_over(c);
    } else if (c->state == SESSION_BODY || (c->state == SESSION_HEAD && c->in_at < c->in_end)) {
        if (!c->in_request)
            request_begin(c);
        refuse(c, 408, "too-slow", "the request did not arrive in time");
        session_advance(c);
    } else {
        session_close(c);
    }
}

struct session *session_new(struct server *s, int fd, const struct server_listen *l)
{
    struct session *c = calloc(1, sizeof(*c));
    if (!c) {
        close(fd);
        return NULL;
    }
    MAGIC_SET(c, SESSION_MAGIC);
    c->server = s;
    c->bind_loopback = l->loopback;
    snprintf(c->bind_host, sizeof(c->bind_host), "%s", l->host);
    session_name_peer(c, fd);
    ev_io_init(&c->read, on_readable, fd, EV_READ);
    ev_io_init(&c->write, on_writable, fd, EV_WRITE);
    ev_timer_init(&c->timer, on_deadline, 0., 0.);
    c->read.data = c->write.data = c->timer.data = c;
    await_head(c);
    return c;
}

void session_close(struct session *c)
{
    struct ev_loop *loop = c->server->loop;
    ev_io_stop(loop, &c->read);
    ev_io_stop(loop, &c->write);
    ev_timer_stop(loop, &c->timer);
    c->server->pending_bytes -= c->out_body_bytes;
    close(c->read.fd);
    request_end(c);
    session_buffer_drop(c);
    server_forget(c->server, c);
    MAGIC_CLEAR(c);
    free(c);
}

bool session_is_idle(const struct session *c)
{
    return c->state == SESSION_HEAD && c->in_at == c->in_end;
}

bool session_is_incomplete(const struct session *c)
{
    return c->state == SESSION_HEAD || c->state == SESSION_BODY;
}

bool session_waits(const struct session *c, enum response_wait wait)
{
    return c->state == SESSION_WAIT && c->r.wait == wait;
}

void session_resume(struct session *c)
{
    c->r.wait = RESPONSE_NOW;
    begin_write(c);
    session_advance(c);
}

void session_ask_again(struct session *c)
{
    uint64_t newest = event_last(c->server->api->table);
    if (newest == c->news_seen)
        return;
    c->news_seen = newest;
    endpoint_answer(c->server->api, &c->q, &c->r);
    if (c->r.wait == RESPONSE_NOW)
        session_resume(c);
}
