/* worker/h2_response.c: from the text of an answer to fields, data and trailers of a stream. */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include "worker/h2_int.h"

static char status_text[4];

static const struct http1_limits limits = {BUF_LARGE_BYTES, HTTP1_HEADERS_MAX};

/* ---- fields ---- */

static size_t collect(const struct http1_head *h, const char *text, bool switched)
{
    static char status_name[] = ":status";
    char *at = h2_names;
    size_t count = 0;
    unsigned status = switched ? 200 : h->status;
    for (unsigned i = 3, rest = status; i > 0; i--, rest /= 10)
        status_text[i - 1] = (char)('0' + rest % 10);
    h2_fields[count++] = h2_field(status_name, 7, status_text, 3);
    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        const char *name = text + f->name.off;
        bool accept =
            switched && f->name.len == 20 && strncasecmp(name, "sec-websocket-accept", 20) == 0;
        if (h2_is_about_connection(f) || accept || (switched && f->id == HTTP1_H_CONTENT_LENGTH))
            continue;
        char *small = h2_lower(&at, name, f->name.len);
        h2_fields[count++] = h2_field(small, f->name.len, text + f->value.off, f->value.len);
    }
    return count;
}

/* Lines of trailers, as our own parser let them pass. */
static size_t collect_trailers(struct buf *lines)
{
    char *at = h2_names;
    size_t count = 0;
    const char *p = buf_at(lines), *end = p + buf_len(lines);
    while (p < end && count < HTTP1_HEADERS_MAX) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        const char *colon = lf ? memchr(p, ':', (size_t)(lf - p)) : NULL;
        if (!colon)
            break;
        const char *value = colon + 1, *stop = lf > p && lf[-1] == '\r' ? lf - 1 : lf;
        while (value < stop && (*value == ' ' || *value == '\t'))
            value++;
        while (stop > value && (stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        char *small = h2_lower(&at, p, (size_t)(colon - p));
        h2_fields[count++] = h2_field(small, (size_t)(colon - p), value, (size_t)(stop - value));
        p = lf + 1;
    }
    return count;
}

/* ---- data for the session ---- */

/* Room again: the conn may go on. */
static void taken(struct h2_stream *st)
{
    if (buf_len(st->out) == 0) {
        buf_put(&st->session->worker->bufs, st->out);
        st->out = NULL;
    }
    if (st->io && st->io->events & EV_WRITE && (!st->out || buf_len(st->out) < H2_LOW_BYTES))
        h2_feed(st, EV_WRITE);
}

/* Its own, or what a client sent behind a body of known length: that stays with the client's
 * stream, the request may be sent again. */
static struct buf *trailers_of(const struct h2_stream *st)
{
    const struct h2_stream *client = h2_client_of(st);
    bool beside = client && client->in_body == H2_LENGTH && client->in_end;
    return st->trailers || !beside ? st->trailers : client->tail;
}

static void end_data(struct h2_stream *st, uint32_t *flags)
{
    struct buf *trailers = trailers_of(st);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!trailers)
        return;
    size_t count = collect_trailers(trailers);
    if (count && nghttp2_submit_trailer(st->session->ng, st->id, h2_fields, count) == 0)
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    buf_put(&st->session->worker->bufs, st->trailers);
    st->trailers = NULL;
}

static ssize_t on_data(nghttp2_session *ng UNUSED, int32_t id UNUSED, uint8_t *to, size_t cap,
                       uint32_t *flags, nghttp2_data_source *source, void *data UNUSED)
{
    struct h2_stream *st = source->ptr;
    uint32_t n = st->out ? buf_len(st->out) : 0;
    if (n > cap)
        n = (uint32_t)cap;
    if (n) {
        memcpy(to, buf_at(st->out), n);
        st->out->start += n;
        taken(st);
    }
    if (st->complete && !st->out)
        end_data(st, flags);
    else if (n == 0) {
        st->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)n;
}

const nghttp2_data_source_read_callback h2_data_reader = on_data;

void h2_wake_data(struct h2_stream *st)
{
    if (st->deferred && !st->ended)
        (void)nghttp2_session_resume_data(st->session->ng, st->id);
    st->deferred = false;
}

/* ---- text ---- */

static ssize_t broken_text(void)
{
    errno = ECONNRESET;
    return -1;
}

static int submit(struct h2_stream *st, const struct http1_head *h, size_t count)
{
    nghttp2_session *ng = st->session->ng;
    const nghttp2_data_provider provider = {{.ptr = st}, on_data};
    if (h->status < 200 && h->status != 101)
        return nghttp2_submit_headers(ng, NGHTTP2_FLAG_NONE, st->id, NULL, h2_fields, count, NULL) <
                       0
                   ? -1
                   : 0;
    st->head_sent = true;
    return nghttp2_submit_response(ng, st->id, h2_fields, count,
                                   st->out_body == H2_NONE ? NULL : &provider);
}

static ssize_t take_head(struct h2_stream *st, const char *text, uint32_t len)
{
    static struct http1_head h;
    http1_head_reset(&h);
    if (http1_parse_response(&h, text, len, &limits, st->is_head, false) != HTTP1_DONE)
        return broken_text();
    bool switched = h.status == 101;
    if (switched && st->in_body != H2_RAW)
        return broken_text();
    st->out_body = switched                       ? H2_RAW
                   : h.body == HTTP1_BODY_LENGTH  ? H2_LENGTH
                   : h.body == HTTP1_BODY_CHUNKED ? H2_CHUNKED
                   : h.body == HTTP1_BODY_CLOSE   ? H2_RAW
                                                  : H2_NONE;
    st->left = h.content_length;
    http1_chunked_reset(&st->chunked);
    if (submit(st, &h, collect(&h, text, switched)) != 0)
        return broken_text();
    st->complete = st->head_sent && st->out_body == H2_NONE;
    return (ssize_t)h.head_bytes;
}

static bool keep_trailers(struct h2_stream *st, const char *text, uint32_t len)
{
    if (!buf_reserve(&st->session->worker->bufs, &st->trailers, len))
        return false;
    buf_append(st->trailers, text, len);
    return true;
}

static ssize_t take_chunks(struct h2_stream *st, const char *text, uint32_t len)
{
    uint32_t total = 0;
    while (total < len && !st->complete) {
        uint32_t used = 0;
        struct http1_span payload;
        enum http1_result r =
            http1_chunked_step(&st->chunked, text + total, len - total, &used, &payload);
        if (r == HTTP1_ERROR || used == 0)
            return r == HTTP1_ERROR ? broken_text() : (ssize_t)total;
        buf_append(st->out, text + total + payload.off, payload.len);
        uint32_t off = st->chunked.trailers_off;
        if (st->chunked.trailing && used > off &&
            !keep_trailers(st, text + total + off, used - off))
            return broken_text();
        st->complete = r == HTTP1_DONE;
        total += used;
    }
    return (ssize_t)total;
}

static ssize_t take_body(struct h2_stream *st, const char *text, uint32_t len)
{
    struct buf_pool *p = &st->session->worker->bufs;
    if (!st->out && !(st->out = buf_get(p, len > BUF_SMALL_BYTES / 2)))
        return broken_text();
    if (buf_room(st->out) < len)
        buf_compact(st->out);
    if (len > buf_room(st->out))
        len = buf_room(st->out);
    if (st->out_body == H2_CHUNKED)
        return take_chunks(st, text, len);
    if (st->out_body == H2_LENGTH && len > st->left)
        len = (uint32_t)st->left;
    buf_append(st->out, text, len);
    if (st->out_body == H2_LENGTH) {
        st->left -= len;
        st->complete = st->left == 0;
    }
    return (ssize_t)len;
}

static void release_empty(struct h2_stream *st)
{
    if (st->out && buf_len(st->out) == 0) {
        buf_put(&st->session->worker->bufs, st->out);
        st->out = NULL;
    }
}

ssize_t h2_response_take(struct h2_stream *st, const char *text, uint32_t len)
{
    uint32_t total = 0;
    while (total < len && !st->complete) {
        ssize_t n = st->head_sent       ? take_body(st, text + total, len - total)
                    : st->session->back ? h2_request_take_head(st, text + total, len - total)
                                        : take_head(st, text + total, len - total);
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        total += (uint32_t)n;
    }
    release_empty(st);
    if (st->out || st->complete)
        h2_wake_data(st);
    return (ssize_t)total;
}
