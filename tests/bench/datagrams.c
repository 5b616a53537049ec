/*
 * tests/bench/datagrams.c: both ends of a measurement of datagrams.
 *
 *   datagrams origin PORT            answers every DNS query with itself, marked as an answer
 *   datagrams floor PORT UPSTREAM    a blind relay: a connected socket per client, a datagram per
 * call
 *
 * On 127.0.0.1; they run until killed.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS 65536 /* by port: all of them are on this host */
#define EVENTS  256

static struct sockaddr_in local(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int listen_on(int port)
{
    struct sockaddr_in a = local(port);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), room = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (fd == -1 || bind(fd, (struct sockaddr *)&a, sizeof a) == -1) {
        perror("bind");
        exit(1);
    }
    return fd;
}

static void origin(int fd)
{
    unsigned char bytes[4096];
    for (;;) {
        struct sockaddr_in from;
        socklen_t len = sizeof from;
        ssize_t n = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &len);
        if (n < 12)
            continue;
        bytes[2] |= 0x80;
        (void)!sendto(fd, bytes, (size_t)n, 0, (struct sockaddr *)&from, len);
    }
}

static int upstream_of(int epoll, int *fds, int client, int upstream)
{
    struct sockaddr_in a = local(upstream);
    if (fds[client] > 0)
        return fds[client];
    int fd = fds[client] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint64_t)client << 32 | (unsigned)fd};
    if (fd == -1 || connect(fd, (struct sockaddr *)&a, sizeof a) == -1 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == -1) {
        perror("upstream");
        exit(1);
    }
    return fd;
}

static void relay(int listener, int upstream)
{
    static int fds[CLIENTS];
    static char bytes[65536];
    struct epoll_event events[EVENTS], e = {.events = EPOLLIN, .data.u64 = (unsigned)listener};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = (int)(unsigned)events[i].data.u64, client = (int)(events[i].data.u64 >> 32);
            struct sockaddr_in a = local(client);
            socklen_t len = sizeof a;
            ssize_t n = fd == listener ? recvfrom(fd, bytes, sizeof bytes, MSG_DONTWAIT,
                                                  (struct sockaddr *)&a, &len)
                                       : recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
            if (n < 0)
                continue;
            if (fd == listener)
                (void)!send(upstream_of(epoll, fds, ntohs(a.sin_port), upstream), bytes, (size_t)n,
                            0);
            else
                (void)!sendto(listener, bytes, (size_t)n, 0, (struct sockaddr *)&a, sizeof a);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "origin") == 0)
        origin(listen_on(atoi(argv[2])));
    if (argc == 4 && strcmp(argv[1], "floor") == 0)
        relay(listen_on(atoi(argv[2])), atoi(argv[3]));
    fprintf(stderr, "usage: datagrams origin PORT | datagrams floor PORT UPSTREAM\n");
    return 2;
}
