/* worker/h2_request.c: from the fields of a stream to the text of an HTTP/1.1 request. libnghttp2
 * has refused what RFC 9113 8.2 and 8.3 call malformed; what would mean something else in text is
 * refused here, and the rest by our parser like anybody's. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "worker/h2_int.h"

/* Nothing that ends a line, or a word of the request line. */
static bool is_visible(const uint8_t *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] <= ' ' || s[i] == 0x7f)
            return false;
    return true;
}

/* ---- pseudo fields ---- */

/* Kept until the request line is written: offsets into st->pseudo, NUL-terminated. */
static bool keep(struct h2_stream *st, char **at, const uint8_t *value, size_t len)
{
    if (!st->pseudo && !(st->pseudo = buf_get(&st->session->worker->bufs, true)))
        return false;
    if (*at || len == 0 || !is_visible(value, len) || len + 1 > buf_room(st->pseudo))
        return false;
    *at = st->pseudo->data + st->pseudo->end;
    buf_append(st->pseudo, value, len);
    buf_append(st->pseudo, "", 1);
    return true;
}

static bool pseudo_field(struct h2_stream *st, const uint8_t *name, size_t name_len,
                         const uint8_t *value, size_t len)
{
    if (st->started)
        return false;
    if (h2_is(name, name_len, ":method"))
        return http1_is_token((const char *)value, len) && keep(st, &st->method, value, len);
    if (h2_is(name, name_len, ":path"))
        return keep(st, &st->path, value, len);
    if (h2_is(name, name_len, ":authority"))
        return len == 0 || keep(st, &st->authority, value, len);
    if (h2_is(name, name_len, ":scheme"))
        return keep(st, &st->scheme, value, len);
    return h2_is(name, name_len, ":protocol") && keep(st, &st->protocol, value, len);
}

/* ---- the request line ---- */

/* A WebSocket over HTTP/2 (RFC 8441) is one over HTTP/1.1 to the backend. */
static bool begin_websocket(struct h2_stream *st)
{
    uint64_t nonce[2] = {worker_random(st->session->worker), worker_random(st->session->worker)};
    char key[32], line[96];
    if (strcasecmp(st->protocol, "websocket") != 0 || !st->path)
        return false;
    EVP_EncodeBlock((unsigned char *)key, (const unsigned char *)nonce, sizeof nonce);
    snprintf(line, sizeof line,
             "Connection: Upgrade\r\nUpgrade: websocket\r\n"
             "Sec-WebSocket-Key: %s\r\n",
             key);
    st->in_body = H2_RAW;
    return h2_append_text(st, &st->head, "GET ") && h2_append_text(st, &st->head, st->path) &&
           h2_append_text(st, &st->head, " HTTP/1.1\r\n") && h2_append_text(st, &st->head, line);
}

static bool begin_plain(struct h2_stream *st)
{
    st->is_head = strcmp(st->method, "HEAD") == 0;
    const char *target = st->is_connect ? st->authority : st->path;
    return target && h2_append_text(st, &st->head, st->method) &&
           h2_append_text(st, &st->head, " ") && h2_append_text(st, &st->head, target) &&
           h2_append_text(st, &st->head, " HTTP/1.1\r\n");
}

static bool begin(struct h2_stream *st)
{
    st->started = true;
    if (!st->method)
        return false;
    st->is_connect = strcmp(st->method, "CONNECT") == 0;
    if (st->protocol ? !st->is_connect || !begin_websocket(st) : !begin_plain(st))
        return false;
    return !st->authority ||
           h2_append_field(st, &st->head, "Host", 4, st->authority, strlen(st->authority));
}

/* ---- fields ---- */

/* Beside :authority it must say the same, or two servers would read two hosts. */
static bool host_field(struct h2_stream *st, const uint8_t *value, size_t len)
{
    if (st->authority)
        return strlen(st->authority) == len &&
               strncasecmp(st->authority, (const char *)value, len) == 0;
    return h2_append_field(st, &st->head, "Host", 4, value, len);
}

static bool cookie_field(struct h2_stream *st, const uint8_t *value, size_t len)
{
    return (!st->cookie || h2_append(st, &st->cookie, "; ", 2)) &&
           h2_append(st, &st->cookie, value, len);
}

bool h2_request_field(struct h2_stream *st, const uint8_t *name, size_t name_len,
                      const uint8_t *value, size_t value_len)
{
    if (name_len && name[0] == ':')
        return pseudo_field(st, name, name_len, value, value_len);
    if (!st->started && !begin(st))
        return false;
    if (!http1_is_token((const char *)name, name_len) || !h2_is_line(value, value_len) ||
        h2_is_connection_field(name, name_len))
        return false;
    if (h2_is(name, name_len, "te"))
        return h2_is(value, value_len, "trailers");
    if (h2_is(name, name_len, "host"))
        return host_field(st, value, value_len);
    if (h2_is(name, name_len, "cookie"))
        return cookie_field(st, value, value_len);
    if (h2_is(name, name_len, "content-length") && !h2_take_length(st, value, value_len))
        return false;
    return h2_append_field(st, &st->head, name, name_len, value, value_len);
}

bool h2_request_end(struct h2_stream *st, bool end_stream)
{
    struct buf_pool *p = &st->session->worker->bufs;
    if (!st->started && !begin(st))
        return false;
    if (st->cookie &&
        !h2_append_field(st, &st->head, "Cookie", 6, buf_at(st->cookie), buf_len(st->cookie)))
        return false;
    buf_put(p, st->cookie);
    buf_put(p, st->pseudo);
    st->cookie = st->pseudo = NULL;
    st->method = st->path = st->authority = st->scheme = st->protocol = NULL;
    if (!end_stream && st->in_body != H2_RAW && !st->is_connect) {
        st->in_body = st->has_length ? H2_LENGTH : H2_CHUNKED;
        if (!st->has_length && !h2_append_text(st, &st->head, "Transfer-Encoding: chunked\r\n"))
            return false;
    }
    return h2_append(st, &st->head, "\r\n", 2);
}

bool h2_request_trailer(struct h2_stream *st, const uint8_t *name, size_t name_len,
                        const uint8_t *value, size_t value_len)
{
    if (!http1_is_token((const char *)name, name_len) || !h2_is_line(value, value_len) ||
        h2_is_connection_field(name, name_len) || h2_is(name, name_len, "host") ||
        h2_is(name, name_len, "content-length"))
        return false;
    if (st->in_body != H2_CHUNKED && st->in_body != H2_LENGTH)
        return true;
    return h2_append_field(st, &st->tail, name, name_len, value, value_len) &&
           buf_len(st->tail) < BUF_SMALL_BYTES - 512;
}
