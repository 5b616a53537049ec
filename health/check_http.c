/*
 * health/check_http.c: a request over a fresh connection; the status decides, and a part of the
 * body when one is asked for (health/http_body.h). Interim (1xx) responses are passed over as RFC
 * 9110 section 15.2 asks of a client.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/http1.h"
#include "health/check.h"
#include "health/http_body.h"

#define REQUEST_MAX_BYTES  4096u
#define RESPONSE_MAX_BYTES 16384u
#define REASON_MAX_BYTES   96

static const struct http1_limits limits = {
    .head_bytes = RESPONSE_MAX_BYTES,
    .headers = HTTP1_HEADERS_MAX,
};

struct exchange {
    uint32_t len;
    struct http_body *body; /* NULL: the head is being read */
    struct http1_head head;
    char buf[RESPONSE_MAX_BYTES];
};

void check_http_forget(struct check *c)
{
    struct exchange *x = c->state;
    free(x->body);
    free(x);
    c->state = NULL;
}

/* ---- the request ---- */

/* The Host field: as configured, or the backend as shown, with the port that is really asked. */
static void write_host(const struct check *c, char *out, size_t cap)
{
    const char *colon = strrchr(c->endpoint, ':');
    if (c->health->host[0] != '\0')
        snprintf(out, cap, "%s", c->health->host);
    else if (c->addr->u.sa.sa_family == AF_UNIX)
        snprintf(out, cap, "localhost");
    else if (c->health->port != 0 && colon != NULL)
        snprintf(out, cap, "%.*s:%u", (int)(colon - c->endpoint), c->endpoint, c->health->port);
    else
        snprintf(out, cap, "%s", c->endpoint);
}

struct text {
    char *out;
    size_t len, cap;
};

/* It always fits: the configuration bounds path, host and fields (conf/rows_health.c). */
static void put(struct text *t, const char *s)
{
    size_t n = strlen(s);
    assert(n <= t->cap - t->len);
    memcpy(t->out + t->len, s, n);
    t->len += n;
}

static void put_field(struct text *t, const char *name, const char *value)
{
    put(t, name);
    put(t, ": ");
    put(t, value);
    put(t, "\r\n");
}

static bool has_header(const struct conf_health *h, const char *name)
{
    for (uint32_t i = 0; i < h->header_count; i++)
        if (strcasecmp(h->headers[i].name, name) == 0)
            return true;
    return false;
}

static void write_headers(const struct conf_health *h, struct text *t)
{
    if (!has_header(h, "User-Agent"))
        put(t, "User-Agent: ballast-health/" BALLAST_VERSION "\r\n");
    if (!has_header(h, "Accept"))
        put(t, "Accept: */*\r\n");
    for (uint32_t i = 0; i < h->header_count; i++)
        put_field(t, h->headers[i].name, h->headers[i].value);
    if (h->method[0] == 'P') /* POST, PUT */
        put(t, "Content-Length: 0\r\n");
    put(t, "Connection: close\r\n\r\n");
}

/* Returns the length. */
static uint32_t write_request(const struct check *c, char *out, size_t cap)
{
    struct text t = {.out = out, .cap = cap};
    char host[512];
    write_host(c, host, sizeof(host));
    put(&t, c->health->method);
    put(&t, " ");
    put(&t, c->health->path);
    put(&t, " HTTP/1.1\r\n");
    put_field(&t, "Host", host);
    write_headers(c->health, &t);
    return (uint32_t)t.len;
}

/* ---- the answer ---- */

static bool expected(const struct conf_health *h, uint16_t status)
{
    for (uint32_t i = 0; i < h->expect_count; i++)
        if (status >= h->expect[i].from && status <= h->expect[i].to)
            return true;
    return false;
}

/* "200-299, 404" */
static void write_expect(const struct conf_health *h, char *out, size_t cap)
{
    size_t len = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < h->expect_count && len < cap; i++) {
        const struct conf_status_range *range = &h->expect[i];
        const char *comma = i == 0 ? "" : ", ";
        int n = range->from == range->to
                    ? snprintf(out + len, cap - len, "%s%u", comma, range->from)
                    : snprintf(out + len, cap - len, "%s%u-%u", comma, range->from, range->to);
        len += n < 0 ? 0 : (size_t)n;
    }
}

/* The end of a check whose status is right, unless a body decides. */
static void judge_body(struct check *c, const char *data, uint32_t len, bool end)
{
    struct exchange *x = c->state;
    const char *wanted = c->health->body;
    switch (http_body_feed(x->body, data, len, end)) {
    case HTTP_BODY_MORE: break;
    case HTTP_BODY_FOUND:
        check_pass(c, x->head.status, "status %u, and the body matches", x->head.status);
        break;
    case HTTP_BODY_ABSENT:
        check_fail(c, x->head.status, "status %u, but the body does not hold \"%.64s\"",
                   x->head.status, wanted);
        break;
    case HTTP_BODY_TOO_LONG:
        check_fail(c, x->head.status, "status %u, but no \"%.64s\" in the body's first 64 KiB",
                   x->head.status, wanted);
        break;
    case HTTP_BODY_BAD:
        check_fail(c, (uint32_t)-EPROTO, "invalid response: the body is cut short or malformed");
        break;
    }
}

static void judge(struct check *c)
{
    struct exchange *x = c->state;
    char text[REASON_MAX_BYTES];
    uint16_t status = x->head.status;
    if (!expected(c->health, status)) {
        write_expect(c->health, text, sizeof(text));
        check_fail(c, status, "status %u, expected %s", status, text);
    } else if (c->health->body[0] == '\0') {
        check_pass(c, status, "status %u", status);
    } else if ((x->body = http_body_new(&x->head, c->health->body)) == NULL) {
        check_impossible(c, "no memory for the body");
    } else {
        c->phase = "reading the body";
        judge_body(c, x->buf + x->head.head_bytes, x->len - x->head.head_bytes, false);
    }
}

static bool is_interim(const struct http1_head *h)
{
    return h->status < 200 && h->status != 101;
}

static void skip_interim(struct exchange *x)
{
    x->len -= x->head.head_bytes;
    memmove(x->buf, x->buf + x->head.head_bytes, x->len);
    http1_head_reset(&x->head);
}

static void parse(struct check *c)
{
    struct exchange *x = c->state;
    bool is_head = strcmp(c->health->method, "HEAD") == 0;
    for (;;) {
        switch (http1_parse_response(&x->head, x->buf, x->len, &limits, is_head, false)) {
        case HTTP1_MORE:
            if (x->len == sizeof(x->buf))
                check_fail(c, (uint32_t)-EPROTO, "invalid response: head too large");
            return;
        case HTTP1_ERROR:
            check_fail(c, (uint32_t)-EPROTO, "invalid response: %s", x->head.error);
            return;
        case HTTP1_DONE:
            if (!is_interim(&x->head)) {
                judge(c);
                return;
            }
            skip_interim(x);
        }
    }
}

static struct exchange *open_exchange(void)
{
    struct exchange *x = malloc(sizeof(*x));
    if (x == NULL)
        return NULL;
    x->len = 0;
    x->body = NULL;
    http1_head_reset(&x->head);
    return x;
}

static void take_head(struct check *c, ssize_t n)
{
    struct exchange *x = c->state;
    if (n == 0) {
        check_fail(c, (uint32_t)-ENODATA,
                   "closed after %u bytes, before the end of a response head", x->len);
        return;
    }
    x->len += (uint32_t)n;
    parse(c);
}

/* One read; true: there may be more at once. */
static bool take(struct check *c)
{
    struct exchange *x = c->state;
    uint32_t from = x->body == NULL ? x->len : 0;
    ssize_t n = check_recv(c, x->buf + from, (uint32_t)sizeof(x->buf) - from);
    if (n == -1)
        return false;
    if (x->body == NULL)
        take_head(c, n);
    else
        judge_body(c, x->buf, (uint32_t)n, n == 0);
    return c->tls != NULL; /* a check that has ended has no TLS any more */
}

static void on_readable(struct check *c)
{
    if (c->state == NULL)
        c->state = open_exchange();
    if (c->state == NULL) {
        check_impossible(c, "no memory for the response");
        return;
    }
    while (take(c))
        ;
}

static void ask(struct check *c)
{
    char request[REQUEST_MAX_BYTES];
    uint32_t len = write_request(c, request, sizeof(request));
    if (check_send(c, request, len, ask))
        check_wait(c, EV_READ, "waiting for the response", on_readable);
}

/* A connect within the host is finished when connect(2) returns: the request goes out at once,
 * without a turn of the loop. */
void check_http_start(struct check *c)
{
    check_open(c, ask);
}
