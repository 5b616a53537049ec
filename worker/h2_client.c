/* worker/h2_client.c: a client's connection that speaks HTTP/2: its beginning, events and end. */
#include <errno.h>
#include <stdlib.h>
#include "worker/conn.h"
#include "worker/h2_int.h"
#include "worker/pace.h"
#include "worker/proxy_out.h"

#define RESETS_BURST    400u
#define RESETS_PER_S    60u
#define CONTINUATIONS   16u
#define SETTINGS_MAX    32u
#define ACKS_MAX        1000u
#define DRAIN_NOTICE_MS 1000u /* between the notice and the last stream that is taken */

static nghttp2_option *options(void)
{
    static nghttp2_option *made;
    if (made || nghttp2_option_new(&made) != 0)
        return made;
    nghttp2_option_set_no_auto_window_update(made, 1);
    nghttp2_option_set_no_closed_streams(made, 1);
    nghttp2_option_set_max_outbound_ack(made, ACKS_MAX);
    nghttp2_option_set_max_settings(made, SETTINGS_MAX);
    nghttp2_option_set_max_continuations(made, CONTINUATIONS);
    nghttp2_option_set_stream_reset_rate_limit(made, RESETS_BURST, RESETS_PER_S);
    return made;
}

static bool greet(struct h2_session *s, const struct conf_listener *listener)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, listener->limits.header_bytes},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    return nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) == 0 &&
           nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)H2_SESSION_BYTES) == 0;
}

static struct h2_session *create(struct conn *c, const struct conf_listener *listener)
{
    struct h2_session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->conn = c;
    h2_session_init(s, c->worker);
    if (h2_callbacks() && options() &&
        nghttp2_session_server_new3(&s->ng, h2_callbacks(), s, options(), h2_memory()) == 0 &&
        greet(s, listener))
        return s;
    nghttp2_session_del(s->ng);
    free(s);
    return NULL;
}

static void deadline(struct h2_session *s)
{
    const struct conf_listener *listener = conn_listener(s->conn);
    if (s->notice)
        return;
    conn_deadline(s->conn, listener ? listener->timeouts.idle_ms : DRAIN_NOTICE_MS);
}

void h2_begin(struct conn *c)
{
    const struct conf_listener *listener = conn_listener(c);
    bool paced = listener && (!pace_asked(listener) || pace_begin(c));
    struct h2_session *s = paced ? create(c, listener) : NULL;
    if (!s) {
        conn_close(c, "out of memory");
        return;
    }
    c->h2 = s;
    c->state = CONN_H2;
    c->served = 1;
    proxy_out_know_destination(c); /* for the streams */
    if (!h2_session_feed(s, &c->in)) {
        conn_close(c, "not HTTP/2");
        return;
    }
    deadline(s);
    if (c->draining || c->worker->draining)
        h2_drain(c);
    h2_wake(s);
}

void h2_readable(struct conn *c)
{
    struct h2_session *s = c->h2;
    if (!buf_reserve(&s->worker->bufs, &c->in, 1)) {
        conn_close(c, "out of memory");
        return;
    }
    ssize_t n = conn_recv(c, c->in);
    if (n == -1 && errno == EAGAIN) {
        buf_put(&s->worker->bufs, c->in);
        c->in = NULL;
        return;
    }
    if (n <= 0) {
        conn_close(c, n == 0 ? "client closed" : "client reset");
        return;
    }
    deadline(s);
    if (!h2_session_feed(s, &c->in))
        nghttp2_session_terminate_session(s->ng, NGHTTP2_PROTOCOL_ERROR);
    h2_wake(s);
}

void h2_writable(struct conn *c)
{
    deadline(c->h2);
    h2_flush(c->h2);
}

void h2_timeout(struct conn *c)
{
    struct h2_session *s = c->h2;
    if (s->out) {
        conn_reset(c, "client does not read");
        return;
    }
    if (s->notice && !s->goaway)
        (void)nghttp2_submit_goaway(s->ng, NGHTTP2_FLAG_NONE,
                                    nghttp2_session_get_last_proc_stream_id(s->ng),
                                    NGHTTP2_NO_ERROR, NULL, 0);
    else if (s->count == 0 && !s->goaway)
        (void)nghttp2_session_terminate_session(s->ng, NGHTTP2_NO_ERROR);
    s->goaway |= s->notice || s->count == 0;
    const struct conf_listener *listener = conn_listener(c);
    conn_deadline(c, listener ? listener->timeouts.idle_ms : DRAIN_NOTICE_MS);
    h2_wake(s);
}

void h2_drain(struct conn *c)
{
    struct h2_session *s = c->h2;
    if (s->notice)
        return;
    s->notice = true;
    (void)nghttp2_submit_shutdown_notice(s->ng);
    conn_deadline(c, DRAIN_NOTICE_MS);
    h2_wake(s);
}

void h2_each(struct conn *c, void (*on)(struct conn *stream))
{
    for (struct h2_stream *st = c->h2->streams, *next; st; st = next) {
        next = st->next;
        if (st->conn)
            on(st->conn);
    }
}

void h2_end(struct conn *c)
{
    struct h2_session *s = c->h2;
    c->h2 = NULL;
    h2_session_free(s);
}
