/*
 * tests/bench/origin.c: an origin that is never the bottleneck: keep-alive HTTP/1.1, one epoll
 * loop. GET /big answers 1 MiB, every other path 128 bytes; "Connection: close" is honoured,
 * pipelined requests are answered in order. It understands requests without a body and nothing
 * else.
 *
 *   origin PORT      (all addresses: a test may use any of 127.0.0.0/8; runs until killed)
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SMALL_BYTES   128u
#define BIG_BYTES     (1u << 20)
#define REQUEST_BYTES 8192u
#define EVENTS        256

struct response {
    char *bytes;
    size_t len;
};

struct conn {
    int fd;
    size_t len;                    /* of the request bytes in buf */
    const struct response *answer; /* being sent; NULL: none */
    size_t sent;
    int close_after, writing;
    char buf[REQUEST_BYTES];
};

static struct response small, big, small_close, big_close;
static int loop_fd, listen_fd;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct response make_response(size_t body_bytes, const char *fields)
{
    struct response r = {.bytes = malloc(body_bytes + 512)};
    if (r.bytes == NULL)
        die("malloc");
    int head = snprintf(r.bytes, 512,
                        "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\n"
                        "Content-Length: %zu\r\n%s\r\n",
                        body_bytes, fields);
    memset(r.bytes + head, 'x', body_bytes);
    r.len = (size_t)head + body_bytes;
    return r;
}

static void watch(int op, struct conn *c, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = c};
    if (epoll_ctl(loop_fd, op, c->fd, &ev) == -1)
        die("epoll_ctl");
}

static void close_conn(struct conn *c)
{
    close(c->fd);
    free(c);
}

/* Takes the first request out of the buffer: 1, or 0 when it is not complete. */
static int take_request(struct conn *c)
{
    char *end = memmem(c->buf, c->len, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t len = (size_t)(end - c->buf) + 4;
    end[2] = '\0';
    int is_big = strncmp(c->buf, "GET /big", 8) == 0;
    c->close_after = strcasestr(c->buf, "\r\nconnection: close") != NULL;
    if (c->close_after)
        c->answer = is_big ? &big_close : &small_close;
    else
        c->answer = is_big ? &big : &small;
    c->sent = 0;
    c->len -= len;
    memmove(c->buf, c->buf + len, c->len);
    return 1;
}

static void set_writing(struct conn *c, int writing)
{
    if (c->writing == writing)
        return;
    c->writing = writing;
    watch(EPOLL_CTL_MOD, c, writing ? EPOLLOUT : EPOLLIN);
}

/* Sends the answer. 1: all of it, 0: the socket is full, -1: the connection is gone. */
static int send_answer(struct conn *c)
{
    while (c->sent < c->answer->len) {
        ssize_t n = send(c->fd, c->answer->bytes + c->sent, c->answer->len - c->sent, MSG_NOSIGNAL);
        if (n == -1 && errno == EAGAIN)
            return 0;
        if (n == -1)
            return -1;
        c->sent += (size_t)n;
    }
    c->answer = NULL;
    return 1;
}

/* Answers whatever is complete. -1: the connection is to be closed. */
static int serve(struct conn *c)
{
    while (c->answer != NULL || take_request(c)) {
        int done = send_answer(c);
        if (done == 0) {
            set_writing(c, 1);
            return 0;
        }
        if (done == -1 || c->close_after)
            return -1;
    }
    set_writing(c, 0);
    return c->len == sizeof(c->buf) ? -1 : 0;
}

static void on_conn(struct conn *c)
{
    if (!c->writing) {
        ssize_t n = recv(c->fd, c->buf + c->len, sizeof(c->buf) - c->len, 0);
        if (n == -1 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close_conn(c);
            return;
        }
        c->len += (size_t)n;
    }
    if (serve(c) == -1)
        close_conn(c);
}

static void on_accept(void)
{
    int fd, on = 1;
    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
        struct conn *c = calloc(1, sizeof(*c));
        if (c == NULL)
            die("calloc");
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        watch(EPOLL_CTL_ADD, c, EPOLLIN);
    }
}

static void start_listening(const char *port)
{
    int on = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    struct epoll_event ev = {.events = EPOLLIN};
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listen_fd, (struct sockaddr *)&a, sizeof(a)) == -1 || listen(listen_fd, 4096) == -1)
        die("listen");
    loop_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop_fd == -1 || epoll_ctl(loop_fd, EPOLL_CTL_ADD, listen_fd, &ev) == -1)
        die("epoll");
}

static void raise_descriptors(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == -1)
        die("getrlimit");
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) == -1)
        die("setrlimit");
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    if (argc != 2) {
        fprintf(stderr, "usage: origin PORT\n");
        return 2;
    }
    raise_descriptors();
    small = make_response(SMALL_BYTES, "");
    big = make_response(BIG_BYTES, "");
    small_close = make_response(SMALL_BYTES, "Connection: close\r\n");
    big_close = make_response(BIG_BYTES, "Connection: close\r\n");
    start_listening(argv[1]);
    for (;;) {
        int n = epoll_wait(loop_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL)
                on_accept();
            else
                on_conn(events[i].data.ptr);
        }
    }
}
