/*
 * tests/bench/handshakes.c: a client that makes one TLS 1.3 connection per request, resumed from
 * the ticket of the one before, as a browser that comes back does.
 *
 *   handshakes PORT SECONDS PROCESSES      (on 127.0.0.1; prints "requests failed resumed")
 */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct result {
    long requests, failed, resumed;
};

static SSL_SESSION *last;

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(last);
    last = session;
    return 1;
}

static int dial(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd != -1 && connect(fd, (struct sockaddr *)&a, sizeof a) == -1) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Sends a request and reads its answer to the end; 0: it was a good one. */
static int exchange(SSL *ssl)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
    char answer[4096];
    int n, good = 0;
    if (SSL_connect(ssl) != 1 || SSL_write(ssl, request, sizeof request - 1) <= 0)
        return -1;
    while ((n = SSL_read(ssl, answer, sizeof answer)) > 0)
        good |= n > 12 && strncmp(answer, "HTTP/1.1 200", 12) == 0;
    return good ? 0 : -1;
}

static void once(SSL_CTX *ctx, int port, struct result *r)
{
    int fd = dial(port);
    SSL *ssl = fd == -1 ? NULL : SSL_new(ctx);
    r->failed += ssl == NULL;
    if (ssl) {
        SSL_set_fd(ssl, fd);
        if (last)
            SSL_set_session(ssl, last);
        r->failed += exchange(ssl) != 0;
        r->requests++;
        r->resumed += SSL_session_reused(ssl);
        SSL_shutdown(ssl);
        SSL_free(ssl);
    }
    if (fd != -1)
        close(fd);
}

static void work(int port, int seconds, int out)
{
    struct result r = {0};
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    for (time_t end = time(NULL) + seconds; time(NULL) < end;)
        once(ctx, port, &r);
    exit(write(out, &r, sizeof r) == sizeof r ? 0 : 1);
}

int main(int argc, char **argv)
{
    struct result total = {0}, one;
    int ends[2], processes = argc == 4 ? atoi(argv[3]) : 0;
    if (processes < 1 || pipe(ends) == -1) {
        fprintf(stderr, "usage: handshakes PORT SECONDS PROCESSES\n");
        return 2;
    }
    for (int i = 0; i < processes; i++)
        if (fork() == 0)
            work(atoi(argv[1]), atoi(argv[2]), ends[1]);
    close(ends[1]);
    while (read(ends[0], &one, sizeof one) == sizeof one) {
        total.requests += one.requests;
        total.failed += one.failed;
        total.resumed += one.resumed;
    }
    while (wait(NULL) > 0)
        ;
    printf("%ld %ld %ld\n", total.requests, total.failed, total.resumed);
    return 0;
}
