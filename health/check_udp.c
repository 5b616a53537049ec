/*
 * health/check_udp.c: a datagram is sent. What says that it arrived is the expected answer; without
 * one any answer will do, and so will silence until the deadline: only a host that says that nobody
 * listens there (ICMP, an error of the connected socket) is a failure.
 */
#include <errno.h>
#include <unistd.h>
#include <string.h>
#include <sys/socket.h>
#include "health/check.h"

#define DATAGRAM_MAX_BYTES 16384u

void check_udp_silence(struct check *c)
{
    if (c->health->expect_bytes.len == 0)
        check_pass(c, 0, "no answer, and none is expected");
    else
        check_fail(c, (uint32_t)-ETIMEDOUT, "no answer after %u ms", c->health->timeout_ms);
}

static void on_readable(struct check *c)
{
    char buf[DATAGRAM_MAX_BYTES];
    const struct conf_bytes *expect = &c->health->expect_bytes;
    ssize_t n = check_recv(c, buf, sizeof(buf));
    if (n == -1)
        return;
    if (expect->len == 0)
        check_pass(c, 0, "answered");
    else if (memmem(buf, (size_t)n, expect->data, expect->len) != NULL)
        check_pass(c, 0, "answered as expected");
    else
        check_fail(c, (uint32_t)-EPROTO, "not what is expected in %zd bytes", n);
}

static int open_socket(const struct net_addr *a)
{
    int fd = socket(a->u.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd != -1 && connect(fd, &a->u.sa, a->len_bytes) == -1) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        fd = -1;
    }
    return fd;
}

void check_udp_start(struct check *c)
{
    struct net_addr addr = check_address(c);
    const struct conf_bytes *data = &c->health->send;
    c->fd = open_socket(&addr);
    if (c->fd == -1)
        check_fail_errno(c, "connect", errno);
    else if (send(c->fd, data->data, data->len, MSG_NOSIGNAL) == -1)
        check_fail_errno(c, "send", errno);
    else
        check_wait(c, EV_READ, "waiting for an answer", on_readable);
}
