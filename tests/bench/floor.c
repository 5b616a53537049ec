/*
 * tests/bench/floor.c: the least a proxy can do, to compare with: a blind relay. One epoll loop,
 * one upstream connection per client connection, bytes copied through one buffer, nothing parsed.
 * What a socket does not take at once is kept aside until it does, and its source is not read
 * meanwhile.
 *
 *   floor LISTEN_PORT UPSTREAM_PORT      (both on 127.0.0.1; runs until killed)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES (64u << 10)
#define EVENTS       256

/* One of the two sockets of a connection. */
struct end {
    int fd;
    struct end *peer;
    char *kept; /* what fd did not take */
    size_t kept_at, kept_len;
    int closed; /* freed at the end of the turn: events of this turn may still name it */
    struct end *next_closed;
};

static char buffer[BUFFER_BYTES];
static int loop_fd, listen_fd;
static struct sockaddr_in upstream;
static struct end *closed_list;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int open_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static void set_nodelay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void watch(int op, struct end *e, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = e};
    if (epoll_ctl(loop_fd, op, e->fd, &ev) == -1)
        die("epoll_ctl");
}

static void close_end(struct end *e)
{
    close(e->fd);
    free(e->kept);
    e->closed = 1;
    e->next_closed = closed_list;
    closed_list = e;
}

static void close_both(struct end *e)
{
    close_end(e->peer);
    close_end(e);
}

static void free_closed(void)
{
    while (closed_list != NULL) {
        struct end *e = closed_list;
        closed_list = e->next_closed;
        free(e);
    }
}

/* e did not take len bytes: they wait, and its peer is not read until they are gone. */
static void keep(struct end *e, const char *bytes, size_t len)
{
    if (e->kept == NULL && (e->kept = malloc(BUFFER_BYTES)) == NULL)
        die("malloc");
    memcpy(e->kept, bytes, len);
    e->kept_at = 0;
    e->kept_len = len;
    watch(EPOLL_CTL_MOD, e, EPOLLOUT);
    watch(EPOLL_CTL_MOD, e->peer, 0);
}

static void on_readable(struct end *e)
{
    ssize_t n = recv(e->fd, buffer, sizeof(buffer), 0);
    if (n == -1 && errno == EAGAIN)
        return;
    if (n <= 0) {
        close_both(e);
        return;
    }
    ssize_t sent = send(e->peer->fd, buffer, (size_t)n, MSG_NOSIGNAL);
    if (sent == -1 && errno != EAGAIN) {
        close_both(e);
        return;
    }
    if (sent == -1)
        sent = 0;
    if (sent < n)
        keep(e->peer, buffer + sent, (size_t)(n - sent));
}

static void on_writable(struct end *e)
{
    ssize_t n = send(e->fd, e->kept + e->kept_at, e->kept_len - e->kept_at, MSG_NOSIGNAL);
    if (n == -1) {
        if (errno != EAGAIN)
            close_both(e);
        return;
    }
    e->kept_at += (size_t)n;
    if (e->kept_at < e->kept_len)
        return;
    watch(EPOLL_CTL_MOD, e, EPOLLIN);
    watch(EPOLL_CTL_MOD, e->peer, EPOLLIN);
}

static struct end *make_end(int fd)
{
    struct end *e = calloc(1, sizeof(*e));
    if (e == NULL)
        die("calloc");
    e->fd = fd;
    set_nodelay(fd);
    return e;
}

static void relay(int client_fd)
{
    int fd = open_socket();
    if (fd == -1 ||
        (connect(fd, (struct sockaddr *)&upstream, sizeof(upstream)) == -1 && errno != EINPROGRESS))
        die("connect");
    struct end *client = make_end(client_fd), *server = make_end(fd);
    client->peer = server;
    server->peer = client;
    watch(EPOLL_CTL_ADD, client, EPOLLIN);
    watch(EPOLL_CTL_ADD, server, EPOLLIN);
}

static void on_accept(void)
{
    int fd;
    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1)
        relay(fd);
}

static void dispatch(const struct epoll_event *ev)
{
    struct end *e = ev->data.ptr;
    if (e == NULL)
        on_accept();
    else if (e->closed)
        return;
    else if (ev->events & EPOLLOUT)
        on_writable(e);
    else if (ev->events & EPOLLIN)
        on_readable(e);
    else
        close_both(e);
}

static struct sockaddr_in loopback(const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void start_listening(const char *port)
{
    int on = 1;
    struct sockaddr_in a = loopback(port);
    struct epoll_event ev = {.events = EPOLLIN};
    listen_fd = open_socket();
    setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listen_fd, (struct sockaddr *)&a, sizeof(a)) == -1 || listen(listen_fd, 4096) == -1)
        die("listen");
    loop_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop_fd == -1 || epoll_ctl(loop_fd, EPOLL_CTL_ADD, listen_fd, &ev) == -1)
        die("epoll");
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    if (argc != 3) {
        fprintf(stderr, "usage: floor LISTEN_PORT UPSTREAM_PORT\n");
        return 2;
    }
    upstream = loopback(argv[2]);
    start_listening(argv[1]);
    for (;;) {
        int n = epoll_wait(loop_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++)
            dispatch(&events[i]);
        free_closed();
    }
}
