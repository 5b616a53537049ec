#include "base/http1_int.h"

/*
 * Fields that framing, routing and the forwarded identity rest on: a client must not be able to
 * have them removed by naming them in Connection.
 */
#define HOP_NEVER                                                                                  \
    (HTTP1_BIT(HTTP1_H_HOST) | HTTP1_BIT(HTTP1_H_CONTENT_LENGTH) |                                 \
     HTTP1_BIT(HTTP1_H_X_FORWARDED_FOR) | HTTP1_BIT(HTTP1_H_X_FORWARDED_PROTO) |                   \
     HTTP1_BIT(HTTP1_H_X_FORWARDED_HOST) | HTTP1_BIT(HTTP1_H_X_REAL_IP) |                          \
     HTTP1_BIT(HTTP1_H_X_REQUEST_ID) | HTTP1_BIT(HTTP1_H_FORWARDED))

/*
 * Each name is looked for among all fields; without a limit a head full of names would cost
 * milliseconds. Real messages name a handful.
 */
#define CONNECTION_NAMES_MAX 32

static void mark_hop(struct http1_head *h, const char *buf, const char *name, size_t len)
{
    uint8_t id = http1_name_id(name, len);

    if (((HOP_NEVER >> id) & 1) != 0) {
        return;
    }
    for (uint32_t i = 0; i < h->count; i++) {
        struct http1_header *f = &h->headers[i];
        if (f->id == id && f->name.len == len && http1_same_name(buf + f->name.off, name, len)) {
            f->hop = true;
        }
    }
}

/*
 * An option that is not a token cannot be understood; ending the connection is the reading that
 * harms nobody. (Only token bytes fold to the three literals, so they need no check of their own.)
 */
static uint8_t connection_option(const char *s, size_t len)
{
    if (HTTP1_TOKEN_IS(s, len, "keep-alive")) {
        return HTTP1_CONN_KEEP_ALIVE;
    }
    if (HTTP1_TOKEN_IS(s, len, "close")) {
        return HTTP1_CONN_CLOSE;
    }
    if (HTTP1_TOKEN_IS(s, len, "upgrade")) {
        return HTTP1_CONN_UPGRADE;
    }
    return http1_is_token(s, len) ? HTTP1_CONN_NAMES : HTTP1_CONN_CLOSE;
}

uint8_t http1_connection_options(const char *s, size_t len)
{
    const char *end = s + len, *item;
    size_t item_len;
    uint8_t options = 0;

    if (HTTP1_TOKEN_IS(s, len, "keep-alive")) { /* nearly always, and all there is */
        return HTTP1_CONN_KEEP_ALIVE;
    }
    while (http1_list_next(&s, end, &item, &item_len)) {
        options |= connection_option(item, item_len);
    }
    return options;
}

/* The fields that Connection names can only be marked when all are there. */
static bool mark_named(struct http1_head *h, const char *buf)
{
    uint32_t names = 0;

    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        if (f->id != HTTP1_H_CONNECTION) {
            continue;
        }
        const char *p = buf + f->value.off, *end = p + f->value.len, *item;
        size_t len;
        while (http1_list_next(&p, end, &item, &len)) {
            if (connection_option(item, len) != HTTP1_CONN_NAMES) {
                continue;
            }
            if (++names > CONNECTION_NAMES_MAX) {
                http1_refuse(h, 400, "too many names in Connection");
                return false;
            }
            mark_hop(h, buf, item, len);
        }
    }
    return true;
}

/* RFC 9112 9.3; in HTTP/1.0 Upgrade is to be ignored (RFC 9110 7.8). */
bool http1_apply_connection(struct http1_head *h, const char *buf)
{
    bool close = (h->connection & HTTP1_CONN_CLOSE) != 0;
    bool keep_alive = (h->connection & HTTP1_CONN_KEEP_ALIVE) != 0;
    bool upgrade = (h->connection & HTTP1_CONN_UPGRADE) != 0;

    h->keep_alive = !close && (h->minor > 0 || keep_alive);
    h->upgrade = upgrade && h->minor > 0 && http1_has(h, HTTP1_H_UPGRADE);
    return (h->connection & HTTP1_CONN_NAMES) == 0 || mark_named(h, buf);
}

/* All the Transfer-Encoding fields together. */
struct codings {
    uint32_t fields, count, chunked;
    bool final; /* the last coding is chunked */
};

static struct codings read_codings(const struct http1_head *h, const char *buf)
{
    struct codings c = {0, 0, 0, false};

    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        if (f->id != HTTP1_H_TRANSFER_ENCODING) {
            continue;
        }
        const char *p = buf + f->value.off, *end = p + f->value.len, *item;
        size_t len;
        c.fields++;
        while (http1_list_next(&p, end, &item, &len)) {
            c.final = HTTP1_TOKEN_IS(item, len, "chunked");
            c.chunked += c.final;
            c.count++;
        }
    }
    return c;
}

/*
 * RFC 9112 6.1 and 6.3. Without a final chunked the length is unknown: 400. A coding before it is
 * one that is not implemented: 501. Content-Length beside it is how requests are smuggled, and so
 * are lists with empty elements and second fields, which a backend may read otherwise: refused.
 */
bool http1_apply_transfer_encoding(struct http1_head *h, const char *buf)
{
    const struct http1_header *first = http1_find(h, HTTP1_H_TRANSFER_ENCODING);
    struct codings c = read_codings(h, buf);

    if (h->minor == 0) {
        http1_refuse(h, 400, "Transfer-Encoding in HTTP/1.0");
    } else if (http1_has(h, HTTP1_H_CONTENT_LENGTH)) {
        http1_refuse(h, 400, "both Transfer-Encoding and Content-Length");
    } else if (!c.final || c.chunked > 1) {
        http1_refuse(h, 400, "Transfer-Encoding is not chunked");
    } else if (c.count > 1) {
        http1_refuse(h, 501, "transfer coding not implemented");
    } else if (c.fields > 1 || first->value.len != strlen("chunked")) {
        http1_refuse(h, 400, "Transfer-Encoding is not chunked");
    }
    return h->error == NULL;
}

/* Nineteen digits hold every length that off_t can; more are refused rather than reasoned about. */
bool http1_read_length(const char *s, size_t len, uint64_t *out)
{
    uint64_t n = 0;

    if (len == 0 || len > 19) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!http1_is(s[i], HTTP1_C_DIGIT)) {
            return false;
        }
        n = n * 10 + (uint64_t)(s[i] - '0');
    }
    *out = n;
    return n <= INT64_MAX;
}

static bool port_valid(const char *s, const char *end, bool need_digits)
{
    unsigned port = 0;

    if (s == end) {
        return !need_digits;
    }
    if (end - s > 5) {
        return false;
    }
    for (; s < end; s++) {
        if (!http1_is(*s, HTTP1_C_DIGIT)) {
            return false;
        }
        port = port * 10 + (unsigned)(*s - '0');
    }
    return port <= UINT16_MAX;
}

/* IP-literal of RFC 3986 3.2.2 without the future forms; past ']' or NULL. */
static const char *skip_literal(const char *s, const char *end)
{
    const char *p = s + 1;

    while (p < end && (http1_is(*p, HTTP1_C_HEX) || *p == ':' || *p == '.')) {
        p++;
    }
    return p < end && *p == ']' && p - s > 2 ? p + 1 : NULL;
}

/* reg-name, not empty: http URIs without a host are invalid (RFC 9110 4.2.1). */
static const char *skip_reg_name(const char *s, const char *end)
{
    const char *p = s;

    while (p < end && http1_is(*p, HTTP1_C_REGNAME)) {
        if (*p == '%') {
            if (end - p < 3 || !http1_is(p[1], HTTP1_C_HEX) || !http1_is(p[2], HTTP1_C_HEX)) {
                return NULL;
            }
            p += 2;
        }
        p++;
    }
    return p > s ? p : NULL;
}

bool http1_host_valid(const char *s, size_t len, bool need_port)
{
    const char *end = s + len;

    if (len == 0) {
        return false;
    }
    const char *p = *s == '[' ? skip_literal(s, end) : skip_reg_name(s, end);
    if (p == NULL) {
        return false;
    }
    if (p == end) {
        return !need_port;
    }
    return *p == ':' && port_valid(p + 1, end, need_port);
}
