/*
 * tests/bench/flows.c: long flows of datagrams, as downloads by QUIC are.
 *
 *   flows source PORT BURST MODE            answers a datagram with BURST datagrams of 1200 bytes
 *   flows client PORT COUNT SECONDS MODE    COUNT sockets, each asking again when it has its burst
 *                                           (prints "datagrams lost")
 *
 * MODE: "segments": the kernel cuts and joins datagrams (UDP_SEGMENT, UDP_GRO); "plain": one by
 * one. On 127.0.0.1; a source runs until it is killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BYTES     1200
#define BURST_MAX 44
#define WAIT_MS   500

static char bytes[65536];

static struct sockaddr_in local(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int make(int segments)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), room = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (segments && setsockopt(fd, IPPROTO_UDP, UDP_GRO, &(int){1}, sizeof(int)) == -1)
        perror("UDP_GRO");
    return fd;
}

static void answer(int fd, const struct sockaddr_in *to, int burst, int segments)
{
    if (segments) {
        setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &(int){BYTES}, sizeof(int));
        (void)!sendto(fd, bytes, (size_t)burst * BYTES, 0, (const struct sockaddr *)to, sizeof *to);
        return;
    }
    for (int i = 0; i < burst; i++)
        (void)!sendto(fd, bytes, BYTES, 0, (const struct sockaddr *)to, sizeof *to);
}

static void source(int port, int burst, int segments)
{
    struct sockaddr_in a = local(port), from;
    int fd = make(segments);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) == -1) {
        perror("bind");
        exit(1);
    }
    for (;;) {
        char question[64];
        socklen_t len = sizeof from;
        if (recvfrom(fd, question, sizeof question, 0, (struct sockaddr *)&from, &len) > 0)
            answer(fd, &from, burst, segments);
    }
}

struct flow {
    long left; /* of the burst, in bytes */
};

/* Everything there is: bytes. */
static long take(int fd)
{
    long total = 0;
    for (ssize_t n; (n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0;)
        total += n;
    return total;
}

static void ask(struct pollfd *p, struct flow *f, long burst_bytes)
{
    f->left = burst_bytes;
    (void)!send(p->fd, "?", 1, 0);
}

/* What does not come is lost: all ask again. */
static long ask_again(struct pollfd *polls, struct flow *flows, int count, long burst_bytes)
{
    long lost = 0;
    for (int i = 0; i < count; i++) {
        lost += flows[i].left / BYTES;
        ask(&polls[i], &flows[i], burst_bytes);
    }
    return lost;
}

static void client(int port, int count, int seconds, int burst, int segments)
{
    struct pollfd *polls = calloc((size_t)count, sizeof *polls);
    struct flow *flows = calloc((size_t)count, sizeof *flows);
    struct sockaddr_in a = local(port);
    long total = 0, lost = 0, burst_bytes = (long)burst * BYTES;
    for (int i = 0; i < count; i++) {
        polls[i] = (struct pollfd){.fd = make(segments), .events = POLLIN};
        if (connect(polls[i].fd, (struct sockaddr *)&a, sizeof a) == -1)
            exit(1);
        ask(&polls[i], &flows[i], burst_bytes);
    }
    for (time_t end = time(NULL) + seconds; time(NULL) < end;) {
        if (poll(polls, (nfds_t)count, WAIT_MS) == 0)
            lost += ask_again(polls, flows, count, burst_bytes);
        for (int i = 0; i < count; i++) {
            long n = polls[i].revents ? take(polls[i].fd) : 0;
            total += n;
            flows[i].left -= n;
            if (n > 0 && flows[i].left <= 0)
                ask(&polls[i], &flows[i], burst_bytes);
        }
    }
    printf("%ld %ld\n", total / BYTES, lost);
}

int main(int argc, char **argv)
{
    int segments = argc > 1 && strcmp(argv[argc - 1], "segments") == 0;
    if (argc == 5 && strcmp(argv[1], "source") == 0)
        source(atoi(argv[2]), atoi(argv[3]), segments);
    if (argc == 6 && strcmp(argv[1], "client") == 0) {
        client(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), BURST_MAX, segments);
        return 0;
    }
    fprintf(stderr, "usage: flows source PORT BURST MODE | flows client PORT COUNT SECONDS MODE\n");
    return 2;
}
