/*
 * health/check_http.c: GET of a path over a fresh connection; the status decides. Only the response
 * head is read. Interim (1xx) responses are passed over as RFC 9110 section 15.2 asks of a client.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/http1.h"
#include "health/check.h"

#define REQUEST_MAX_BYTES  4096u
#define RESPONSE_MAX_BYTES 16384u
#define REASON_MAX_BYTES   96

static const struct http1_limits limits = {
    .head_bytes = RESPONSE_MAX_BYTES,
    .headers = HTTP1_HEADERS_MAX,
};

struct check_exchange {
    uint32_t len;
    struct http1_head head;
    char buf[RESPONSE_MAX_BYTES];
};

void check_http_forget(struct check *c)
{
    free(c->exchange);
    c->exchange = NULL;
}

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

/* Returns the length. It always fits: the configuration bounds path and host (conf/rows.c). */
static uint32_t write_request(const struct check *c, char *out, size_t cap)
{
    char host[512];
    write_host(c, host, sizeof(host));
    int n = snprintf(out, cap,
                     "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: ballast-health/" BALLAST_VERSION
                     "\r\nAccept: */*\r\nConnection: close\r\n\r\n",
                     c->health->path, host);
    assert(n > 0 && (size_t)n < cap);
    return (uint32_t)n;
}

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

static void judge(struct check *c, uint16_t status)
{
    char text[REASON_MAX_BYTES];
    if (expected(c->health, status)) {
        snprintf(text, sizeof(text), "status %u", status);
        check_pass(c, status, text);
        return;
    }
    write_expect(c->health, text, sizeof(text));
    check_fail(c, status, "status %u, expected %s", status, text);
}

static bool is_interim(const struct http1_head *h)
{
    return h->status < 200 && h->status != 101;
}

static void skip_interim(struct check_exchange *x)
{
    x->len -= x->head.head_bytes;
    memmove(x->buf, x->buf + x->head.head_bytes, x->len);
    http1_head_reset(&x->head);
}

static void parse(struct check *c)
{
    struct check_exchange *x = c->exchange;
    for (;;) {
        switch (http1_parse_response(&x->head, x->buf, x->len, &limits, false, false)) {
        case HTTP1_MORE:
            if (x->len == sizeof(x->buf))
                check_fail(c, (uint32_t)-EPROTO, "invalid response: head too large");
            return;
        case HTTP1_ERROR:
            check_fail(c, (uint32_t)-EPROTO, "invalid response: %s", x->head.error);
            return;
        case HTTP1_DONE:
            if (!is_interim(&x->head)) {
                judge(c, x->head.status);
                return;
            }
            skip_interim(x);
        }
    }
}

static struct check_exchange *open_exchange(void)
{
    struct check_exchange *x = malloc(sizeof(*x));
    if (x == NULL)
        return NULL;
    x->len = 0;
    http1_head_reset(&x->head);
    return x;
}

static void on_readable(struct check *c)
{
    if (c->exchange == NULL)
        c->exchange = open_exchange();
    struct check_exchange *x = c->exchange;
    if (x == NULL) {
        check_impossible(c, "no memory for the response");
        return;
    }
    ssize_t n = recv(c->fd, x->buf + x->len, sizeof(x->buf) - x->len, 0);
    if (n == -1) {
        if (errno != EAGAIN && errno != EINTR)
            check_fail_errno(c, "receive", errno);
        return;
    }
    if (n == 0) {
        check_fail(c, (uint32_t)-ENODATA,
                   "closed after %u bytes, before the end of a response head", x->len);
        return;
    }
    x->len += (uint32_t)n;
    parse(c);
}

/* Sends what is left of the request; true when all is sent or the check has ended. */
static bool send_request(struct check *c, const char *what)
{
    char request[REQUEST_MAX_BYTES];
    uint32_t len = write_request(c, request, sizeof(request));
    ssize_t n = send(c->fd, request + c->sent_bytes, len - c->sent_bytes, MSG_NOSIGNAL);
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n == -1) {
        check_fail_errno(c, what, errno);
        return true;
    }
    c->sent_bytes += (uint32_t)n;
    if (c->sent_bytes < len)
        return false;
    check_wait(c, EV_READ, "waiting for the response", on_readable);
    return true;
}

static void on_writable(struct check *c)
{
    (void)send_request(c, "send");
}

static void on_connected(struct check *c)
{
    int err = net_connect_result(c->fd);
    if (err != 0) {
        check_fail_errno(c, "connect", err);
        return;
    }
    c->phase = "sending the request";
    c->ready = on_writable;
    on_writable(c);
}

/* A connect within the host is finished when connect(2) returns: the request goes out at once,
 * without a turn of the loop. */
void check_http_start(struct check *c)
{
    if (check_connect(c) && !send_request(c, "connect"))
        check_wait(c, EV_WRITE, "connecting", on_connected);
}
