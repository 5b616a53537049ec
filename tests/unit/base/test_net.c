#include "tests/unit/harness.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include "base/net.h"

#define DEADLINE_MS 20000

static struct net_addr any_port(int family)
{
    struct net_addr a = {.len_bytes = family == AF_INET ? sizeof a.u.in : sizeof a.u.in6};
    a.u.sa.sa_family = (sa_family_t)family;
    if (family == AF_INET)
        a.u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static struct net_addr name_of(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    struct net_addr a;
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
    net_addr_from_sockaddr(&a, (struct sockaddr *)&ss, len);
    return a;
}

static struct net_addr unix_addr(void)
{
    struct net_addr a;
    char text[64], why[64];
    snprintf(text, sizeof text, "unix:/tmp/ballast-test-net.%d", (int)getpid());
    CHECK_EQ(net_addr_parse(text, &a, why, sizeof why), 0);
    return a;
}

static void wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    CHECK_EQ(poll(&p, 1, DEADLINE_MS), 1);
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    CHECK_EQ(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void check_made_well(int fd)
{
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

/* Connects to a listener and checks that the connection arrives there. */
static void check_reachable(int listener, const struct net_addr *a)
{
    int fd = net_connect(a);
    CHECK(fd != -1);
    check_made_well(fd);
    wait_for(fd, POLLOUT);
    CHECK_EQ(net_connect_result(fd), 0);
    wait_for(listener, POLLIN);
    int peer = accept(listener, NULL, NULL);
    CHECK(peer != -1);
    close(peer);
    close(fd);
}

TEST(listen_and_connect_over_ipv4)
{
    struct net_addr a = any_port(AF_INET);
    int fd = net_listen(&a, 16, 0);
    CHECK(fd != -1);
    check_made_well(fd);
    a = name_of(fd);
    check_reachable(fd, &a);
}

TEST(the_wildcard_serves_both_families)
{
    struct net_addr a = any_port(AF_INET6), v4 = any_port(AF_INET);
    int fd = net_listen(&a, 16, 0);
    CHECK(fd != -1);
    a = name_of(fd);
    v4.u.in.sin_port = htons(net_addr_port(&a));
    check_reachable(fd, &v4);
    if (a.u.sa.sa_family == AF_INET6) {
        a.u.in6.sin6_addr = in6addr_loopback;
        check_reachable(fd, &a);
    }
}

TEST(v6only_leaves_ipv4_alone)
{
    struct net_addr a = any_port(AF_INET6), v4 = any_port(AF_INET);
    int fd = net_listen(&a, 16, NET_V6ONLY);
    if (fd == -1 && errno == EAFNOSUPPORT)
        SKIP("no IPv6 on this host");
    CHECK(fd != -1);
    a = name_of(fd);
    v4.u.in.sin_port = htons(net_addr_port(&a));
    int other = net_listen(&v4, 16, 0);
    CHECK(other != -1);
    check_reachable(other, &v4);
}

TEST(a_port_in_use_is_refused_unless_shared)
{
    struct net_addr a = any_port(AF_INET);
    int first = net_listen(&a, 16, NET_REUSEPORT);
    CHECK(first != -1);
    a = name_of(first);
    CHECK_EQ(net_listen(&a, 16, 0), -1);
    CHECK_EQ(errno, EADDRINUSE);
    CHECK(net_listen(&a, 16, NET_REUSEPORT) != -1);
}

TEST(nobody_there)
{
    struct net_addr a = any_port(AF_INET);
    int fd = net_listen(&a, 1, 0);
    a = name_of(fd);
    close(fd);
    fd = net_connect(&a);
    if (fd == -1) {
        CHECK_EQ(errno, ECONNREFUSED);
        return;
    }
    wait_for(fd, POLLOUT);
    CHECK_EQ(net_connect_result(fd), ECONNREFUSED);
}

TEST(unix_sockets)
{
    struct net_addr a = unix_addr();
    struct stat st;
    umask(022);
    int fd = net_listen(&a, 16, 0);
    CHECK(fd != -1);
    CHECK_EQ(stat(a.u.un.sun_path, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0660);
    check_reachable(fd, &a);
    unlink(a.u.un.sun_path);
}

TEST(a_unix_socket_in_use_is_refused_a_stale_one_replaced)
{
    struct net_addr a = unix_addr();
    int first = net_listen(&a, 16, 0);
    CHECK(first != -1);
    CHECK_EQ(net_listen(&a, 16, 0), -1);
    CHECK_EQ(errno, EADDRINUSE);
    check_reachable(first, &a); /* the probe's connection, closed, comes first and is harmless */
    close(first);
    int second = net_listen(&a, 16, 0);
    CHECK(second != -1);
    check_reachable(second, &a);
    unlink(a.u.un.sun_path);
}

TEST(a_unix_socket_with_a_full_backlog_is_in_use)
{
    struct net_addr a = unix_addr();
    CHECK(net_listen(&a, 0, 0) != -1);
    while (net_connect(&a) != -1)
        ;
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(net_listen(&a, 16, 0), -1);
    CHECK_EQ(errno, EADDRINUSE);
    CHECK_EQ(access(a.u.un.sun_path, F_OK), 0);
    unlink(a.u.un.sun_path);
}

TEST(a_file_that_is_no_socket_is_not_replaced)
{
    struct net_addr a = unix_addr();
    int file = open(a.u.un.sun_path, O_CREAT | O_WRONLY, 0600);
    CHECK(file != -1);
    CHECK_EQ(net_listen(&a, 16, 0), -1);
    CHECK_EQ(errno, EADDRINUSE);
    CHECK_EQ(access(a.u.un.sun_path, F_OK), 0);
    unlink(a.u.un.sun_path);
}

TEST(options)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), un = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(net_set_nonblock(fd), 0);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK_EQ(net_set_nonblock(fd), 0);
    net_set_nodelay(fd);
    net_set_keepalive(fd);
    CHECK_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    net_set_nodelay(un);
    net_set_keepalive(un);
    close(fd);
    CHECK_EQ(net_set_nonblock(fd), -1);
}

TEST(linger0_resets)
{
    struct net_addr a = any_port(AF_INET);
    int listener = net_listen(&a, 1, 0);
    a = name_of(listener);
    int fd = net_connect(&a);
    wait_for(listener, POLLIN);
    int peer = accept(listener, NULL, NULL);
    net_set_linger0(peer);
    close(peer);
    wait_for(fd, POLLIN);
    char byte;
    CHECK_EQ(read(fd, &byte, 1), -1);
    CHECK_EQ(errno, ECONNRESET);
}

TEST(descriptors_that_come_with_a_message_are_noticed)
{
    int pair[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } space = {0};
    char byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr h = {.msg_iov = &part, .msg_iovlen = 1};
    CHECK(!net_brings_fds(pair[0]));
    CHECK_EQ(sendmsg(pair[1], &h, 0), 1);
    CHECK(!net_brings_fds(pair[0]));
    h.msg_control = space.bytes;
    h.msg_controllen = sizeof space;
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    *c = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(c), &pair[1], sizeof(int));
    CHECK_EQ(sendmsg(pair[1], &h, 0), 1);
    CHECK(!net_brings_fds(pair[0])); /* the first one has none */
    CHECK_EQ(read(pair[0], &byte, 1), 1);
    CHECK(net_brings_fds(pair[0]));
    CHECK_EQ(read(pair[0], &byte, 1), 1);
    if (net_refuse_fds(pair[0]) == 0)
        CHECK_EQ(sendmsg(pair[1], &h, 0), -1);
}
