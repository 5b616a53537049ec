/*
 * health/check_tcp.c: a backend that accepts a connection is healthy; when something is to be said,
 * it must take that, and when something is expected, it must stand in what the backend says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "health/check.h"

#define ANSWER_MAX_BYTES 16384u

struct answer {
    uint32_t len;
    char buf[ANSWER_MAX_BYTES];
};

void check_tcp_forget(struct check *c)
{
    free(c->state);
    c->state = NULL;
}

/* Looks at what has arrived; true when the check has ended. */
static bool judge(struct check *c, ssize_t n)
{
    struct answer *a = c->state;
    const struct conf_bytes *expect = &c->health->expect_bytes;
    if (n == 0) {
        check_fail(c, (uint32_t)-ENODATA, "closed after %u bytes, without what is expected",
                   a->len);
        return true;
    }
    uint32_t back = a->len < expect->len ? a->len : expect->len;
    const char *from = a->buf + a->len - back;
    a->len += (uint32_t)n;
    bool found = memmem(from, back + (size_t)n, expect->data, expect->len) != NULL;
    bool full = a->len == sizeof(a->buf);
    if (found) /* either verdict frees the answer */
        check_pass(c, 0, "answered as expected");
    else if (full)
        check_fail(c, (uint32_t)-EPROTO, "not what is expected in %u bytes", a->len);
    return found || full;
}

static void on_readable(struct check *c)
{
    struct answer *a = c->state;
    for (;;) {
        ssize_t n = check_recv(c, a->buf + a->len, (uint32_t)sizeof(a->buf) - a->len);
        if (n == -1 || judge(c, n))
            return;
    }
}

static void listen_to(struct check *c)
{
    struct answer *a = malloc(sizeof(*a));
    c->state = a;
    if (a == NULL) {
        check_impossible(c, "no memory for the answer");
        return;
    }
    a->len = 0;
    check_wait(c, EV_READ, "waiting for what is expected", on_readable);
    if (c->tls != NULL) /* it may have been read with the handshake */
        on_readable(c);
}

static void say(struct check *c)
{
    const struct conf_health *h = c->health;
    if (!check_send(c, h->send.data, h->send.len, say))
        return;
    if (h->expect_bytes.len > 0)
        listen_to(c);
    else
        check_pass(c, 0, h->send.len > 0 ? "connected, and took what was sent" : "connected");
}

static void on_connected(struct check *c)
{
    int err = net_connect_result(c->fd);
    c->connected = true;
    if (err != 0)
        check_fail_errno(c, "connect", err);
    else
        say(c);
}

static void on_opened(struct check *c)
{
    if (c->connected)
        say(c);
    else
        check_wait(c, EV_WRITE, "connecting", on_connected);
}

void check_tcp_start(struct check *c)
{
    check_open(c, on_opened);
}
