/* cli/load_conn.c: the connections of `ballast load`. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "cli/load.h"

#define IN_BYTES 16384u

struct load;

struct conn {
    struct load *load;
    ev_io io;
    ev_timer timer;
    bool connecting, reused, heard; /* heard: a byte of the answer came */
    size_t sent;
    uint64_t begun_us;
    uint32_t in_len;
    struct http1_head head;
    bool head_done;
    struct http1_chunked chunked;
    uint64_t left;
    char in[IN_BYTES];
};

struct load {
    const struct load_plan *plan;
    struct load_result *result;
    struct ev_loop *loop;
    struct conn *conns;
    uint32_t active;
    ev_signal on_int, on_term;
};

static void begin(struct conn *c);
static void on_io(EV_P_ ev_io *w, int revents);
static void on_timeout(EV_P_ ev_timer *w, int revents);

static void watch(struct conn *c, int fd, int events)
{
    ev_io_stop(c->load->loop, &c->io);
    ev_io_set(&c->io, fd, events);
    ev_io_start(c->load->loop, &c->io);
}

static void disconnect(struct conn *c)
{
    if (c->io.fd == -1)
        return;
    ev_io_stop(c->load->loop, &c->io);
    close(c->io.fd);
    c->io.fd = -1;
}

/* This connection has nothing left to do. */
static void rest(struct conn *c)
{
    disconnect(c);
    ev_timer_stop(c->load->loop, &c->timer);
    if (--c->load->active == 0)
        ev_break(c->load->loop, EVBREAK_ALL);
}

static void fail(struct conn *c, enum load_failure why)
{
    c->load->result->failures[why]++;
    disconnect(c);
    begin(c);
}

/* ---- the answer ---- */

static void note_server(struct conn *c)
{
    struct load_result *r = c->load->result;
    const char *by = c->load->plan->by;
    const struct http1_header *h = http1_find_name(&c->head, c->in, by, strlen(by));
    size_t len = h ? h->value.len : 0;

    if (len == 0 || len >= LOAD_NAME_BYTES) {
        r->unnamed++;
        return;
    }
    for (uint32_t i = 0; i < r->server_count; i++)
        if (strlen(r->servers[i].name) == len &&
            memcmp(r->servers[i].name, c->in + h->value.off, len) == 0) {
            r->servers[i].count++;
            return;
        }
    if (r->server_count == LOAD_SERVERS_MAX) {
        r->unnamed++;
        return;
    }
    struct load_server *s = &r->servers[r->server_count++];
    memcpy(s->name, c->in + h->value.off, len);
    s->name[len] = '\0';
    s->count = 1;
}

static void finish(struct conn *c)
{
    struct load_result *r = c->load->result;
    uint64_t took_us = clock_mono_us() - c->begun_us;

    r->took_us[r->answered++] = took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX;
    if (c->head.status < LOAD_STATUS_MAX)
        r->statuses[c->head.status]++;
    if (!c->head.keep_alive || c->load->plan->close || c->in_len > 0)
        disconnect(c);
    begin(c);
}

static void drop(struct conn *c, uint32_t bytes)
{
    c->in_len -= bytes;
    memmove(c->in, c->in + bytes, c->in_len);
}

/* One run of the body. */
static enum http1_result take_run(struct conn *c, uint32_t *used)
{
    struct http1_span payload = {.len = c->in_len};
    enum http1_result r = HTTP1_MORE;

    *used = c->in_len;
    if (c->head.body == HTTP1_BODY_CHUNKED) {
        r = http1_chunked_step(&c->chunked, c->in, c->in_len, used, &payload);
    } else if (c->head.body == HTTP1_BODY_LENGTH) {
        *used = payload.len = c->left < c->in_len ? (uint32_t)c->left : c->in_len;
        c->left -= *used;
        r = c->left == 0 ? HTTP1_DONE : HTTP1_MORE;
    }
    if (r != HTTP1_ERROR)
        c->load->result->body_bytes += payload.len;
    return r;
}

/* Takes what there is of the body. DONE: all of it. */
static enum http1_result take_body(struct conn *c)
{
    enum http1_result r = c->head.body == HTTP1_BODY_NONE ? HTTP1_DONE : HTTP1_MORE;
    uint32_t used = 1;

    while (r == HTTP1_MORE && used > 0 && (r = take_run(c, &used)) != HTTP1_ERROR)
        drop(c, used);
    return r;
}

/* Interim answers are passed over. */
static enum http1_result take_head(struct conn *c)
{
    const struct http1_limits limits = {.head_bytes = IN_BYTES, .headers = HTTP1_HEADERS_MAX};
    enum http1_result r;

    while ((r = http1_parse_response(&c->head, c->in, c->in_len, &limits, c->load->plan->is_head,
                                     false)) == HTTP1_DONE) {
        bool interim = c->head.status < 200 && c->head.status != 101;
        if (!interim)
            note_server(c);
        drop(c, c->head.head_bytes);
        if (!interim)
            break;
        http1_head_reset(&c->head);
    }
    if (r != HTTP1_DONE)
        return r;
    c->head_done = true;
    c->left = c->head.content_length;
    http1_chunked_reset(&c->chunked);
    return r;
}

static void take(struct conn *c)
{
    enum http1_result r = c->head_done ? HTTP1_DONE : take_head(c);

    if (r == HTTP1_DONE && (r = take_body(c)) == HTTP1_DONE)
        finish(c);
    else if (r == HTTP1_ERROR)
        fail(c, LOAD_MALFORMED);
}

/* ---- the request ---- */

static bool resume(struct conn *c);

/* Of a kept connection the server may just have tired: that says nothing of the request. */
static void lost(struct conn *c)
{
    if (c->head_done && c->head.body == HTTP1_BODY_CLOSE) {
        c->head.keep_alive = false;
        finish(c);
    } else if (c->reused && !c->heard) {
        disconnect(c);
        if (!resume(c))
            fail(c, LOAD_CONNECT);
    } else {
        fail(c, LOAD_CLOSED);
    }
}

static void readable(struct conn *c)
{
    ssize_t n = recv(c->io.fd, c->in + c->in_len, IN_BYTES - c->in_len, 0);

    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        lost(c);
        return;
    }
    c->heard = true;
    c->in_len += (uint32_t)n;
    take(c);
}

static void writable(struct conn *c)
{
    const struct load_plan *p = c->load->plan;

    if (c->connecting && net_connect_result(c->io.fd) != 0) {
        fail(c, LOAD_CONNECT);
        return;
    }
    c->connecting = false;
    ssize_t n = send(c->io.fd, p->request + c->sent, p->request_bytes - c->sent, MSG_NOSIGNAL);
    if (n == -1 && errno != EAGAIN && errno != EINTR) {
        lost(c);
        return;
    }
    c->sent += n > 0 ? (size_t)n : 0;
    watch(c, c->io.fd, c->sent < p->request_bytes ? EV_READ | EV_WRITE : EV_READ);
}

static void on_io(EV_P_ ev_io *w, int revents)
{
    struct conn *c = w->data;

    (void)loop;
    if (revents & EV_WRITE)
        writable(c);
    else
        readable(c);
}

static void on_timeout(EV_P_ ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    fail(w->data, LOAD_TIMEOUT);
}

/* Sends the request that was begun, on the connection that there is or a new one. False: there is
 * none. */
static bool resume(struct conn *c)
{
    int fd = c->io.fd;

    c->reused = fd != -1;
    c->heard = c->head_done = false;
    c->sent = 0;
    c->in_len = 0;
    http1_head_reset(&c->head);
    if (fd == -1 && (fd = net_connect(&c->load->plan->addr)) == -1)
        return false;
    if (!c->reused) {
        c->connecting = true;
        net_set_nodelay(fd);
    }
    watch(c, fd, EV_WRITE);
    return true;
}

static void begin(struct conn *c)
{
    struct load *l = c->load;

    while (l->result->begun < l->plan->requests) {
        l->result->begun++;
        c->begun_us = clock_mono_us();
        ev_timer_again(l->loop, &c->timer);
        if (resume(c))
            return;
        l->result->failures[LOAD_CONNECT]++;
    }
    rest(c);
}

/* ---- all of them ---- */

static void on_stop(EV_P_ ev_signal *w, int revents)
{
    struct load *l = w->data;

    (void)revents;
    for (uint32_t i = 0; i < l->plan->concurrency; i++)
        disconnect(&l->conns[i]);
    ev_break(loop, EVBREAK_ALL);
}

static void watch_signals(struct load *l)
{
    ev_signal_init(&l->on_int, on_stop, SIGINT);
    ev_signal_init(&l->on_term, on_stop, SIGTERM);
    l->on_int.data = l->on_term.data = l;
    ev_signal_start(l->loop, &l->on_int);
    ev_signal_start(l->loop, &l->on_term);
}

static void start(struct load *l)
{
    double patience = (double)l->plan->timeout_ms / 1e3;

    l->active = l->plan->concurrency;
    for (uint32_t i = 0; i < l->plan->concurrency; i++) {
        struct conn *c = &l->conns[i];
        c->load = l;
        ev_io_init(&c->io, on_io, -1, 0);
        ev_timer_init(&c->timer, on_timeout, 0., patience);
        c->io.data = c->timer.data = c;
    }
    for (uint32_t i = 0; i < l->plan->concurrency; i++)
        begin(&l->conns[i]);
}

static int by_size(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

int load_run(const struct load_plan *p, struct load_result *r)
{
    struct load l = {.plan = p, .result = r};

    *r = (struct load_result){0};
    r->took_us = calloc(p->requests, sizeof(*r->took_us));
    l.conns = calloc(p->concurrency, sizeof(*l.conns));
    l.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (r->took_us && l.conns && l.loop) {
        watch_signals(&l);
        r->started_us = clock_mono_us();
        start(&l);
        if (l.active > 0)
            ev_run(l.loop, 0);
        r->ended_us = clock_mono_us();
        qsort(r->took_us, r->answered, sizeof(*r->took_us), by_size);
    }
    bool made = r->took_us && l.conns && l.loop;
    if (l.loop)
        ev_loop_destroy(l.loop);
    free(l.conns);
    return made ? 0 : -1;
}

void load_result_free(struct load_result *r)
{
    free(r->took_us);
    r->took_us = NULL;
}
