/* worker/h2_backend_text.c: a request's text to fields for a backend, and its fields to an answer's
 * text. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "worker/h2_int.h"

static const struct http1_limits limits = {BUF_LARGE_BYTES, HTTP1_HEADERS_MAX};

/* ---- requests ---- */

static nghttp2_nv pseudo(const char *name, const char *value, size_t len)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), len,
                        NGHTTP2_NV_FLAG_NONE};
}

static size_t collect(const struct h2_stream *st, const struct http1_head *h, const char *text)
{
    bool secure = h2_backend_secure(st->session->back);
    const struct http1_header *host = http1_find(h, HTTP1_H_HOST);
    char *at = h2_names;
    size_t count = 0;
    h2_fields[count++] = pseudo(":method", text + h->method.off, h->method.len);
    h2_fields[count++] = pseudo(":scheme", secure ? "https" : "http", secure ? 5 : 4);
    h2_fields[count++] = pseudo(":path", text + h->target.off, h->target.len);
    if (host)
        h2_fields[count++] = pseudo(":authority", text + host->value.off, host->value.len);
    h2_fields[count++] = pseudo("te", "trailers", 8);
    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        if (h2_is_about_connection(f) || f->id == HTTP1_H_HOST || f->id == HTTP1_H_TE)
            continue;
        char *small = h2_lower(&at, text + f->name.off, f->name.len);
        h2_fields[count++] = h2_field(small, f->name.len, text + f->value.off, f->value.len);
    }
    return count;
}

static ssize_t broken_text(void)
{
    errno = ECONNRESET;
    return -1;
}

ssize_t h2_request_take_head(struct h2_stream *st, const char *text, uint32_t len)
{
    static struct http1_head h;
    const nghttp2_data_provider provider = {{.ptr = st}, h2_data_reader};
    http1_head_reset(&h);
    if (http1_parse_request(&h, text, len, &limits) != HTTP1_DONE)
        return broken_text();
    st->is_head = h.is_head;
    st->out_body = h.body == HTTP1_BODY_LENGTH    ? H2_LENGTH
                   : h.body == HTTP1_BODY_CHUNKED ? H2_CHUNKED
                                                  : H2_NONE;
    st->left = h.content_length;
    http1_chunked_reset(&st->chunked);
    size_t count = collect(st, &h, text);
    st->id = nghttp2_submit_request(st->session->ng, NULL, h2_fields, count,
                                    st->out_body == H2_NONE ? NULL : &provider, st);
    if (st->id < 0)
        return broken_text();
    st->head_sent = true;
    st->complete = st->out_body == H2_NONE;
    return (ssize_t)h.head_bytes;
}

/* ---- answers ---- */

static bool status_field(struct h2_stream *st, const uint8_t *value, size_t len)
{
    char line[32];
    if (st->started || len != 3)
        return false;
    for (size_t i = 0; i < len; i++)
        if (value[i] < '0' || value[i] > '9')
            return false;
    st->started = true;
    st->status = (uint16_t)((value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0'));
    snprintf(line, sizeof line, "HTTP/1.1 %03u \r\n", (unsigned)st->status);
    return st->status >= 100 && st->status != 101 && h2_append_text(st, &st->head, line);
}

bool h2_take_length(struct h2_stream *st, const uint8_t *value, size_t len)
{
    st->has_length = true;
    st->in_left = 0;
    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9' || st->in_left > (UINT64_MAX - 9) / 10)
            return false;
        st->in_left = st->in_left * 10 + (value[i] - '0');
    }
    return len > 0;
}

bool h2_answer_field(struct h2_stream *st, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len)
{
    if (h2_is(name, name_len, ":status"))
        return status_field(st, value, value_len);
    if (!st->started || !http1_is_token((const char *)name, name_len) ||
        !h2_is_line(value, value_len))
        return false;
    if (h2_is_connection_field(name, name_len))
        return true; /* not for anybody else */
    if (h2_is(name, name_len, "content-length") && !h2_take_length(st, value, value_len))
        return false;
    return h2_append_field(st, &st->head, name, name_len, value, value_len);
}

static const char *framing(struct h2_stream *st, bool end)
{
    bool bare = st->is_head || st->status == 204 || st->status == 304;
    if (end || bare) {
        st->in_body = H2_NONE;
        return st->has_length || bare ? "" : "Content-Length: 0\r\n";
    }
    st->in_body = st->has_length ? H2_LENGTH : H2_CHUNKED;
    return st->has_length ? "" : "Transfer-Encoding: chunked\r\n";
}

bool h2_answer_end(struct h2_stream *st, bool end_stream)
{
    if (!st->started)
        return false;
    st->started = false;
    if (st->status < 200)
        return !end_stream && h2_append_text(st, &st->head, "\r\n");
    st->final = true;
    return h2_append_text(st, &st->head, framing(st, end_stream)) &&
           h2_append_text(st, &st->head, "\r\n");
}
