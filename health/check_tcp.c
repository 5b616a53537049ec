/* health/check_tcp.c: a backend that accepts a connection is healthy. */
#include "health/check.h"

static void on_connected(struct check *c)
{
    int err = net_connect_result(c->fd);
    if (err != 0)
        check_fail_errno(c, "connect", err);
    else
        check_pass(c, 0, "connected");
}

void check_tcp_start(struct check *c)
{
    if (check_connect(c))
        check_wait(c, EV_WRITE, "connecting", on_connected);
}
