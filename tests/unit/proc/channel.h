/* Waiting on a control channel or a pidfd in a test: until it is readable, or the test fails.
 * Include after harness.h. */
#ifndef BALLAST_TESTS_PROC_CHANNEL_H
#define BALLAST_TESTS_PROC_CHANNEL_H

#include <poll.h>
#include "proc/control.h"

#define CHANNEL_WAIT_MS 20000

__attribute__((unused)) static void wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, CHANNEL_WAIT_MS), 1);
}

/* The next message; fails at end of file. */
__attribute__((unused)) static struct ctl_msg receive(int fd, int *fds)
{
    struct ctl_msg m;
    wait_readable(fd);
    CHECK_EQ(ctl_recv(fd, &m, fds), 1);
    return m;
}

/* The next message, which must be of this type and carry no descriptor. */
__attribute__((unused)) static struct ctl_msg expect(int fd, enum ctl_type type)
{
    int fds[CTL_FDS];
    struct ctl_msg m = receive(fd, fds);
    CHECK_STR(ctl_type_name(m.type), ctl_type_name(type));
    CHECK_EQ(m.fd_count, 0);
    return m;
}

__attribute__((unused)) static void tell(int fd, enum ctl_type type, uint32_t number)
{
    struct ctl_msg m = {.type = type, .number = number};
    CHECK_EQ(ctl_send(fd, &m, NULL), 0);
}

#endif
