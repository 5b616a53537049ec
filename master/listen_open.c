#include "master/listen_open.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define UDP_BUFFER_BYTES (4 * 1024 * 1024)
#define BACKLOG          4096 /* the kernel caps it at net.core.somaxconn */

static int close_with_errno(int fd)
{
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value);
}

/* TCP_NODELAY is inherited by what is accepted: whole messages are written at once, so nothing is
 * won by waiting. */
static bool set_stream(int fd)
{
    return set(fd, SOL_SOCKET, SO_REUSEADDR, 1) != -1 && set(fd, IPPROTO_TCP, TCP_NODELAY, 1) != -1;
}

/* Where a datagram was sent to, its answer comes from. Datagrams wait for a busy worker in a large
 * buffer, as far as the system grants it. */
static bool set_datagram(int fd, int family)
{
    if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, UDP_BUFFER_BYTES) == -1)
        (void)set(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER_BYTES);
    return family == AF_INET6 ? set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) != -1
                              : set(fd, IPPROTO_IP, IP_PKTINFO, 1) != -1;
}

static int open_bound(const struct net_addr *a, bool v6only, bool share, bool datagram)
{
    int family = a->u.sa.sa_family, type = datagram ? SOCK_DGRAM : SOCK_STREAM;
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return -1;
    if (!(datagram ? set_datagram(fd, family) : set_stream(fd)) ||
        (share && set(fd, SOL_SOCKET, SO_REUSEPORT, 1) == -1) ||
        (a->u.sa.sa_family == AF_INET6 && set(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only) == -1) ||
        bind(fd, &a->u.sa, a->len_bytes) == -1)
        return close_with_errno(fd);
    return fd;
}

/* "*:80" on a host without IPv6 is 0.0.0.0:80. */
static struct net_addr without_ipv6(const struct net_addr *a, bool v6only)
{
    struct net_addr out = *a;
    if (a->u.sa.sa_family != AF_INET6 || v6only || !net_addr_is_wildcard(a))
        return out;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1 && errno == EAFNOSUPPORT) {
        out = (struct net_addr){.len_bytes = sizeof out.u.in};
        out.u.in.sin_family = AF_INET;
        out.u.in.sin_port = a->u.in6.sin6_port;
    } else if (fd != -1) {
        (void)close(fd);
    }
    return out;
}

int listen_open(const struct net_addr *a, bool v6only, bool datagram)
{
    if (a->u.sa.sa_family == AF_UNIX)
        return net_listen(a, BACKLOG, 0);
    struct net_addr actual = without_ipv6(a, v6only);
    return open_bound(&actual, v6only, true, datagram);
}

int listen_probe(const struct net_addr *a, bool v6only, bool datagram)
{
    if (a->u.sa.sa_family == AF_UNIX) /* net_listen replaces only a socket that nobody listens on */
        return 0;
    struct net_addr actual = without_ipv6(a, v6only);
    int fd = open_bound(&actual, v6only, false, datagram);
    if (fd == -1)
        return -1;
    (void)close(fd);
    return 0;
}
