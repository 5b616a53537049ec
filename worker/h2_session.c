/* worker/h2_session.c: a client's connection: frames in and out, its streams, its limits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "worker/conn.h"
#include "worker/h2_int.h"
#include "worker/peer.h"

#define FRAME_ROOM  16640u /* a frame and its head */
#define USELESS_MAX 4000u  /* frames that ask for nothing, beyond those that do */

/* ---- sending ---- */

void h2_wake(struct h2_session *s)
{
    if (!s->broken)
        ev_feed_event(s->worker->loop, &s->flush, EV_CUSTOM);
}

/* Frames into the buffer, as many as fit. False: the session is broken. */
static bool fill(struct h2_session *s)
{
    if (!s->out && !(s->out = buf_get(&s->worker->bufs, true)))
        return false;
    if (buf_len(s->out) == 0)
        s->out->start = s->out->end = 0;
    while (buf_room(s->out) >= FRAME_ROOM) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(s->ng, &data);
        if (n < 0 || n > (ssize_t)FRAME_ROOM)
            return false;
        if (n == 0)
            break;
        buf_append(s->out, data, (size_t)n);
    }
    return true;
}

static bool is_over(const struct h2_session *s)
{
    bool wants = nghttp2_session_want_read(s->ng) || nghttp2_session_want_write(s->ng);
    return !wants || (s->goaway && s->count == 0);
}

/* ---- the connection below ---- */

static ssize_t carrier_send(struct h2_session *s)
{
    return s->back ? h2_backend_send(s->back, s->out) : conn_send(s->conn, s->out, NULL, 0);
}

static void carrier_want(struct h2_session *s, int events)
{
    if (s->back)
        h2_backend_want(s->back, events);
    else
        conn_want(s->conn, events);
}

static void carrier_close(struct h2_session *s, const char *why)
{
    if (s->back)
        h2_backend_close(s->back, why);
    else
        conn_close(s->conn, why);
}

static void all_sent(struct h2_session *s)
{
    buf_put(&s->worker->bufs, s->out);
    s->out = NULL;
    if (!is_over(s)) {
        carrier_want(s, EV_READ);
        return;
    }
    s->broken = true;
    if (s->back)
        h2_backend_close(s->back, "HTTP/2 session over");
    else
        conn_linger(s->conn);
}

void h2_flush(struct h2_session *s)
{
    while (!s->broken) {
        if (!fill(s)) {
            carrier_close(s, "HTTP/2 session broken");
            return;
        }
        if (buf_len(s->out) == 0) {
            all_sent(s);
            return;
        }
        ssize_t n = carrier_send(s);
        if (n == -1 && errno != EAGAIN) {
            carrier_close(s, s->back ? "backend reset" : "client reset");
            return;
        }
        if (n == -1 || buf_len(s->out) > 0) { /* who does not read is not read either */
            carrier_want(s, EV_WRITE);
            return;
        }
    }
}

static void on_flush(struct ev_loop *loop, struct ev_prepare *watcher, int revents)
{
    (void)loop, (void)revents;
    h2_flush(CONTAINER_OF(watcher, struct h2_session, flush));
}

/* ---- what the session says ---- */

static struct h2_stream *stream_of(nghttp2_session *ng, int32_t id)
{
    return nghttp2_session_get_stream_user_data(ng, id);
}

static void refuse(struct h2_stream *st, uint32_t code)
{
    st->refused = true;
    (void)nghttp2_submit_rst_stream(st->session->ng, NGHTTP2_FLAG_NONE, st->id, code);
}

/* A stream that goes back to a number that was passed over is an error of the connection (RFC 9113
 * 5.1.1), which libnghttp2 only passes over. Other numbers that are not new may be of streams that
 * we have reset, and cross that. */
static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *data)
{
    struct h2_session *s = data;
    int32_t id = hd->stream_id, next = s->newest ? s->newest + 2 : 1;
    if (s->back || hd->type != NGHTTP2_HEADERS || id % 2 == 0)
        return 0;
    if (id >= s->gap_from && id < s->gap_below)
        return nghttp2_session_terminate_session(ng, NGHTTP2_PROTOCOL_ERROR);
    if (id > next) {
        s->gap_from = next;
        s->gap_below = id;
    }
    if (id > s->newest)
        s->newest = id;
    return 0;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *f, void *data)
{
    struct h2_session *s = data;
    if (f->hd.type != NGHTTP2_HEADERS || f->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct h2_stream *st = h2_stream_new(s, f->hd.stream_id);
    if (!st)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return nghttp2_session_set_stream_user_data(ng, st->id, st);
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *data)
{
    (void)flags, (void)data;
    struct h2_stream *st = stream_of(ng, f->hd.stream_id);
    if (!st || st->refused)
        return 0;
    bool first = st->session->back ? !st->final : f->headers.cat == NGHTTP2_HCAT_REQUEST;
    bool good = !first              ? h2_request_trailer(st, name, name_len, value, value_len)
                : st->session->back ? h2_answer_field(st, name, name_len, value, value_len)
                                    : h2_request_field(st, name, name_len, value, value_len);
    if (!good)
        refuse(st, NGHTTP2_PROTOCOL_ERROR);
    return 0;
}

static void answer_complete(struct h2_stream *st, bool end)
{
    if (!st->final && !h2_answer_end(st, end)) {
        refuse(st, NGHTTP2_PROTOCOL_ERROR);
        return;
    }
    if (end)
        h2_stream_input_end(st);
    if (st->io && st->io->events & EV_READ)
        h2_feed(st, EV_READ);
}

static void headers_complete(struct h2_stream *st, const nghttp2_frame *f)
{
    bool end = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (st->session->back) {
        answer_complete(st, end);
    } else if (f->headers.cat == NGHTTP2_HCAT_REQUEST) {
        if (!h2_request_end(st, end)) {
            refuse(st, NGHTTP2_PROTOCOL_ERROR);
            return;
        }
        if (end)
            h2_stream_input_end(st);
        if (!h2_stream_serve(st))
            refuse(st, NGHTTP2_REFUSED_STREAM);
    } else if (end) {
        h2_stream_input_end(st);
    }
}

/* Told once a second, however many do it. */
static void complain(struct h2_session *s, const char *why)
{
    struct worker *w = s->worker;
    char text[NET_ADDR_STRLEN];
    struct net_addr a;
    if (w->now_us - w->h2_said_us < 1000000u)
        return;
    w->h2_said_us = w->now_us;
    if (s->conn)
        peer_to_addr(&s->conn->peer, &a);
    log_warning("HTTP/2 connection ended: %s=%s reason=\"%s\"", s->conn ? "peer" : "backend",
                s->conn ? net_addr_format(&a, text, sizeof text) : h2_backend_name(s->back), why);
}

/* A client that only keeps us busy: empty data, pings, settings, priorities, resets. */
static int count_useless(struct h2_session *s, const nghttp2_frame *f)
{
    bool end = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (s->back) /* ours, and trusted not to */
        return 0;
    if (f->hd.type == NGHTTP2_HEADERS) {
        s->useless -= s->useless < 8 ? s->useless : 8;
        return 0;
    }
    if (f->hd.type == NGHTTP2_DATA && (f->hd.length > 0 || end))
        return 0;
    if (f->hd.type == NGHTTP2_WINDOW_UPDATE && s->count > 0) {
        static const uint32_t some = 4; /* an open download asks for more now and then */
        s->useless += s->useless % some == 0;
        return 0;
    }
    if (++s->useless <= USELESS_MAX || s->goaway)
        return 0;
    s->goaway = true;
    return nghttp2_session_terminate_session(s->ng, NGHTTP2_ENHANCE_YOUR_CALM);
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *f, void *data)
{
    struct h2_session *s = data;
    struct h2_stream *st = f->hd.stream_id ? stream_of(ng, f->hd.stream_id) : NULL;
    if (st && !st->refused && f->hd.type == NGHTTP2_HEADERS)
        headers_complete(st, f);
    else if (st && f->hd.type == NGHTTP2_DATA && f->hd.flags & NGHTTP2_FLAG_END_STREAM)
        h2_stream_input_end(st);
    if (s->back && f->hd.type == NGHTTP2_GOAWAY)
        s->goaway = true;
    return count_useless(s, f) == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *bytes,
                         size_t len, void *data)
{
    (void)flags, (void)data;
    struct h2_stream *st = stream_of(ng, id);
    (void)nghttp2_session_consume_connection(ng, len); /* neighbours do not wait for this one */
    if (!st || st->refused)
        (void)nghttp2_session_consume_stream(ng, id, len);
    else if (!h2_stream_data(st, bytes, len))
        refuse(st, NGHTTP2_FLOW_CONTROL_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *data)
{
    (void)code, (void)data;
    struct h2_stream *st = stream_of(ng, id);
    if (st) {
        (void)nghttp2_session_set_stream_user_data(ng, id, NULL);
        h2_stream_closed(st);
    }
    return 0;
}

/* The answer is out before the request was: the rest of it is not wanted (RFC 9113 8.1). */
static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *f, void *data)
{
    struct h2_session *s = data;
    if (f->hd.type == NGHTTP2_GOAWAY && f->goaway.error_code != NGHTTP2_NO_ERROR)
        complain(s, nghttp2_http2_strerror(f->goaway.error_code));
    bool answers = f->hd.type == NGHTTP2_DATA || f->hd.type == NGHTTP2_HEADERS;
    if (!answers || !(f->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    const struct h2_stream *st = s->back ? NULL : stream_of(ng, f->hd.stream_id);
    if (st && !st->in_end)
        (void)nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR);
    return 0;
}

/* ---- the session ---- */

nghttp2_session_callbacks *h2_callbacks(void)
{
    static nghttp2_session_callbacks *made;
    if (made || nghttp2_session_callbacks_new(&made) != 0)
        return made;
    nghttp2_session_callbacks_set_on_begin_frame_callback(made, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(made, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, on_frame_send);
    return made;
}

void h2_session_init(struct h2_session *s, struct worker *w)
{
    s->worker = w;
    ev_prepare_init(&s->flush, on_flush);
    ev_set_priority(&s->flush, EV_MINPRI); /* behind everything that may write */
}

bool h2_session_feed(struct h2_session *s, struct buf **in)
{
    if (!*in || buf_len(*in) == 0)
        return true;
    ssize_t n = nghttp2_session_mem_recv(s->ng, (const uint8_t *)buf_at(*in), buf_len(*in));
    buf_put(&s->worker->bufs, *in);
    *in = NULL;
    if (n < 0) {
        complain(s, nghttp2_strerror((int)n));
        s->goaway = true;
    }
    return n >= 0;
}

static void close_streams(struct h2_session *s)
{
    for (struct h2_stream *st = s->streams, *next; st; st = next) {
        next = st->next;
        h2_stream_closed(st);
    }
}

void h2_session_free(struct h2_session *s)
{
    s->broken = true;
    ev_prepare_stop(s->worker->loop, &s->flush); /* what was fed goes too */
    close_streams(s);
    nghttp2_session_del(s->ng);
    buf_put(&s->worker->bufs, s->out);
    free(s);
}
