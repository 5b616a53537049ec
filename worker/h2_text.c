/* worker/h2_text.c: what both directions between fields and text share. */
#include <ctype.h>
#include <string.h>
#include "worker/h2_int.h"

bool h2_append(struct h2_stream *st, struct buf **to, const void *bytes, size_t len)
{
    if (len > H2_FIELD_BYTES || !buf_reserve(&st->session->worker->bufs, to, (uint32_t)len))
        return false;
    buf_append(*to, bytes, len);
    return true;
}

bool h2_append_text(struct h2_stream *st, struct buf **to, const char *text)
{
    return h2_append(st, to, text, strlen(text));
}

bool h2_append_field(struct h2_stream *st, struct buf **to, const void *name, size_t name_len,
                     const void *value, size_t value_len)
{
    return h2_append(st, to, name, name_len) && h2_append(st, to, ": ", 2) &&
           h2_append(st, to, value, value_len) && h2_append(st, to, "\r\n", 2);
}

bool h2_is_line(const uint8_t *s, size_t len)
{
    return !memchr(s, '\r', len) && !memchr(s, '\n', len) && !memchr(s, '\0', len);
}

bool h2_is(const uint8_t *name, size_t len, const char *wanted)
{
    return len == strlen(wanted) && memcmp(name, wanted, len) == 0;
}

/* They are about one connection, and this is not it (RFC 9113 8.2.2). */
bool h2_is_connection_field(const uint8_t *name, size_t len)
{
    static const char *const names[] = {"connection",        "keep-alive", "proxy-connection",
                                        "transfer-encoding", "upgrade",    "sec-websocket-key"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (h2_is(name, len, names[i]))
            return true;
    return false;
}

/* Names in lower case, for one block at a time. */
char h2_names[BUF_LARGE_BYTES];
nghttp2_nv h2_fields[HTTP1_HEADERS_MAX + 8];

nghttp2_nv h2_field(char *name, size_t name_len, const char *value, size_t value_len)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)(uintptr_t)value, name_len, value_len,
                        NGHTTP2_NV_FLAG_NONE};
}

char *h2_lower(char **at, const char *name, size_t len)
{
    char *begin = *at;
    for (size_t i = 0; i < len; i++)
        begin[i] = (char)tolower((unsigned char)name[i]);
    *at += len;
    return begin;
}

/* They are about a connection that is not the peer's. */
bool h2_is_about_connection(const struct http1_header *f)
{
    switch (f->id) {
    case HTTP1_H_CONNECTION:
    case HTTP1_H_KEEP_ALIVE:
    case HTTP1_H_PROXY_CONNECTION:
    case HTTP1_H_TRANSFER_ENCODING:
    case HTTP1_H_UPGRADE: return true;
    default: return false;
    }
}
