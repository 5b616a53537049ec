/* proc/control.c: one message is one SEQPACKET record: struct ctl_msg, with its descriptors as
 * SCM_RIGHTS. */
#include "proc/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES (4 << 20) /* asked for; the kernel gives what net.core.wmem_max allows */

union fd_space {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * CTL_FDS)];
};

int ctl_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == -1)
        return -1;
    int bytes = BUFFER_BYTES;
    for (int i = 0; i < 2; i++) /* a smaller buffer only means that the outbox waits more often */
        (void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return 0;
}

static void attach_fds(struct msghdr *h, union fd_space *space, const int *fds, uint32_t count)
{
    size_t len_bytes = sizeof(int) * count;
    memset(space, 0, sizeof *space);
    h->msg_control = space->bytes;
    h->msg_controllen = CMSG_SPACE(len_bytes);
    struct cmsghdr *c = CMSG_FIRSTHDR(h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(len_bytes);
    memcpy(CMSG_DATA(c), fds, len_bytes);
}

int ctl_send_parts(int fd, struct iovec *parts, size_t count, const int *fds, uint32_t fd_count)
{
    if (fd_count > CTL_FDS || (fd_count > 0 && fds == NULL)) {
        errno = EINVAL;
        return -1;
    }
    struct msghdr h = {.msg_iov = parts, .msg_iovlen = count};
    union fd_space space;
    if (fd_count > 0)
        attach_fds(&h, &space, fds, fd_count);
    ssize_t n;
    do {
        n = sendmsg(fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n == -1 && errno == EINTR);
    return n == -1 ? -1 : 0;
}

int ctl_send(int fd, const struct ctl_msg *m, const int *fds)
{
    struct ctl_msg copy = *m; /* iovec wants a pointer to non-const */
    struct iovec io = {.iov_base = &copy, .iov_len = sizeof copy};
    return ctl_send_parts(fd, &io, 1, fds, m->fd_count);
}

/* Takes the descriptors out of a received message. Returns how many. */
static uint32_t take_fds(struct msghdr *h, int *fds)
{
    uint32_t count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            if (count < CTL_FDS)
                fds[count++] = fd;
            else
                (void)close(fd);
        }
    }
    return count;
}

void ctl_close_fds(const int *fds, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        (void)close(fds[i]);
}

ssize_t ctl_recv_bytes(int fd, void *into, size_t cap, int *fds, uint32_t *fd_count)
{
    union fd_space space;
    struct iovec io = {.iov_base = into, .iov_len = cap};
    struct msghdr h = {.msg_iov = &io,
                       .msg_iovlen = 1,
                       .msg_control = space.bytes,
                       .msg_controllen = sizeof space.bytes};
    ssize_t n;
    do {
        n = recvmsg(fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n == -1 && errno == EINTR);
    *fd_count = n > 0 ? take_fds(&h, fds) : 0;
    if (n > 0 && (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        ctl_close_fds(fds, *fd_count);
        *fd_count = 0;
    }
    if (n > 0 && (h.msg_flags & MSG_TRUNC) != 0) {
        errno = EBADMSG;
        return -1;
    }
    return n;
}

/* A record that is not one whole, self-consistent message is refused, with its descriptors closed.
 */
static int check(struct ctl_msg *m, size_t len, const int *fds, uint32_t count)
{
    if (len != sizeof *m || m->fd_count != count) {
        ctl_close_fds(fds, count);
        errno = EBADMSG;
        return -1;
    }
    m->text[sizeof m->text - 1] = '\0';
    return 1;
}

int ctl_recv(int fd, struct ctl_msg *m, int *fds)
{
    uint32_t count;
    ssize_t n = ctl_recv_bytes(fd, m, sizeof *m, fds, &count);
    if (n == -1)
        return errno == ECONNRESET ? 0 : -1; /* the peer died with our messages unread */
    return n == 0 ? 0 : check(m, (size_t)n, fds, count);
}

const char *ctl_type_name(uint32_t type)
{
    static const char *const names[] = {
        [CTL_READY] = "READY",         [CTL_REFUSED] = "REFUSED", [CTL_RELEASED] = "RELEASED",
        [CTL_RELOAD] = "RELOAD",       [CTL_OFFER] = "OFFER",     [CTL_LISTEN] = "LISTEN",
        [CTL_OFFER_END] = "OFFER_END", [CTL_GO] = "GO",           [CTL_ABORT] = "ABORT",
        [CTL_DRAIN] = "DRAIN",         [CTL_STOP] = "STOP",       [CTL_REOPEN] = "REOPEN",
        [CTL_RELOADED] = "RELOADED",   [CTL_CHANGED] = "CHANGED", [CTL_RELOADS] = "RELOADS",
        [CTL_UPGRADE] = "UPGRADE",     [CTL_LOGS] = "LOGS",       [CTL_QUEUE] = "QUEUE",
        [CTL_HANDOVER] = "HANDOVER",   [CTL_HEIR] = "HEIR"};
    return type < ARRAY_LEN(names) && names[type] != NULL ? names[type] : "unknown";
}
