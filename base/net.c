/*
 * base/net.c: sockets of base/net.h. Addresses are in base/net_addr.c.
 */
#include "base/net.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNIX_MODE          0660
#define KEEPALIVE_IDLE_S   60
#define KEEPALIVE_PERIOD_S 15
#define KEEPALIVE_PROBES   4
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* newer than libc's headers */
#endif

static int set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value);
}

int net_refuse_fds(int fd)
{
    return set_int(fd, SOL_SOCKET, SO_PASSRIGHTS, 0);
}

/* Without room for them the kernel says that it left something out. */
bool net_brings_fds(int fd)
{
    char byte;
    struct iovec part = {&byte, sizeof byte};
    struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1};
    return recvmsg(fd, &h, MSG_PEEK | MSG_DONTWAIT) != -1 && (h.msg_flags & MSG_CTRUNC) != 0;
}

static int open_stream(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd != -1 && family == AF_UNIX)
        (void)!net_refuse_fds(fd);
    return fd;
}

static void close_keeping_errno(int fd)
{
    int saved_errno = errno;
    close(fd);
    errno = saved_errno;
}

/* Is it a socket file that nobody listens on, left by a process that died? Sets errno when not. */
static bool is_stale(const struct net_addr *a)
{
    struct stat st;
    if (lstat(a->u.un.sun_path, &st) == -1)
        return errno == ENOENT; /* gone meanwhile: as good */
    if (S_ISSOCK(st.st_mode)) {
        int fd = net_connect(a);
        if (fd == -1 && (errno == ECONNREFUSED || errno == ENOENT))
            return true;
        if (fd != -1)
            close(fd);
    }
    errno = EADDRINUSE;
    return false;
}

static int bind_unix(int fd, const struct net_addr *a)
{
    if (bind(fd, &a->u.sa, a->len_bytes) == -1) {
        if (errno != EADDRINUSE || !is_stale(a))
            return -1;
        if (unlink(a->u.un.sun_path) == -1 && errno != ENOENT)
            return -1;
        if (bind(fd, &a->u.sa, a->len_bytes) == -1)
            return -1;
    }
    return chmod(a->u.un.sun_path, UNIX_MODE); /* before listen: nobody can have connected yet */
}

static int bind_inet(int fd, const struct net_addr *a, unsigned flags)
{
    if (set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) == -1)
        return -1;
    if ((flags & NET_REUSEPORT) && set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) == -1)
        return -1;
    if (a->u.sa.sa_family == AF_INET6 &&
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, (flags & NET_V6ONLY) != 0) == -1)
        return -1;
    return bind(fd, &a->u.sa, a->len_bytes);
}

static int listen_once(const struct net_addr *a, int backlog, unsigned flags)
{
    int fd = open_stream(a->u.sa.sa_family);
    if (fd == -1)
        return -1;
    int rc = a->u.sa.sa_family == AF_UNIX ? bind_unix(fd, a) : bind_inet(fd, a, flags);
    if (rc == -1 || listen(fd, backlog) == -1) {
        close_keeping_errno(fd);
        return -1;
    }
    return fd;
}

int net_listen(const struct net_addr *a, int backlog, unsigned flags)
{
    int fd = listen_once(a, backlog, flags);
    if (fd != -1 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL) ||
        a->u.sa.sa_family != AF_INET6 || (flags & NET_V6ONLY) || !net_addr_is_wildcard(a))
        return fd;
    /* "both families" on a host without IPv6 is IPv4 */
    struct net_addr v4 = {.len_bytes = sizeof v4.u.in};
    v4.u.in.sin_family = AF_INET;
    v4.u.in.sin_port = a->u.in6.sin6_port;
    return listen_once(&v4, backlog, flags);
}

int net_connect(const struct net_addr *a)
{
    int fd = open_stream(a->u.sa.sa_family);
    if (fd == -1)
        return -1;
    if (connect(fd, &a->u.sa, a->len_bytes) == -1 && errno != EINPROGRESS) {
        close_keeping_errno(fd);
        return -1;
    }
    return fd;
}

int net_connect_result(int fd)
{
    int error = 0;
    socklen_t len_bytes = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len_bytes) == -1)
        return errno;
    return error;
}

int net_set_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags == -1)
        return -1;
    return flags & O_NONBLOCK ? 0 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void net_set_nodelay(int fd)
{
    (void)set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void net_set_linger0(int fd)
{
    struct linger l = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}

void net_set_keepalive(int fd)
{
    (void)set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    (void)set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    (void)set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_PERIOD_S);
    (void)set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

/* A kernel that does not know the protocol says so; any other says that the socket is not
 * connected.
 */
bool net_kernel_tls(void)
{
    static int known = -1;
    if (known != -1)
        return known == 1;
    int fd = open_stream(AF_INET);
    known = fd != -1 && setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") == -1 &&
            errno == ENOTCONN;
    if (fd != -1)
        (void)close(fd);
    return known == 1;
}

bool net_udp_segments(void)
{
    static int known = -1;
    if (known != -1)
        return known == 1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    known = fd != -1 && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &(int){0}, sizeof(int)) == 0;
    if (fd != -1)
        (void)close(fd);
    return known == 1;
}
