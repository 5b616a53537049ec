/*
 * client/example.c: asks a backend that the client library chose for a page, and another one when
 * that fails, without going through the balancer's processes.
 *
 *   build/client/example /etc/ballast/ballast.conf app /index.html 10 [127.0.0.1:8080]
 *
 * The last argument is the listener, for when the table says nothing. A program outside of this
 * tree includes <ballast_client.h>: cc my.c $(pkg-config --cflags --libs ballast-client)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "client/ballast_client.h"

#define ATTEMPTS  3
#define TIMEOUT_S 5

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int connect_to(const struct ballast_pick *pick)
{
    const struct timeval limit = {.tv_sec = TIMEOUT_S};
    int fd = socket(pick->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (const struct sockaddr *)&pick->address, pick->address_len) == 0)
        return fd;
    close(fd);
    return -1;
}

/* The status of the answer; 0: there was none. */
static int ask(const struct ballast_pick *pick, const char *path)
{
    char text[1024];
    int status = 0, fd = connect_to(pick);
    if (fd == -1)
        return 0;
    int len = snprintf(text, sizeof text,
                       "GET %.900s HTTP/1.1\r\nHost: example\r\nConnection: close\r\n\r\n", path);
    if (len > 0 && send(fd, text, (size_t)len, MSG_NOSIGNAL) == len) {
        ssize_t got = recv(fd, text, sizeof text - 1, 0);
        text[got > 0 ? got : 0] = '\0';
        if (sscanf(text, "HTTP/1.%*d %d", &status) != 1)
            status = 0;
    }
    close(fd);
    return status;
}

/* One request, with up to ATTEMPTS backends. */
static int request(struct ballast_client *client, const char *pool, const char *path)
{
    struct ballast_pick pick;
    enum ballast_result result = ballast_pick(client, pool, path, strlen(path), &pick);
    for (int attempt = 1;; attempt++) {
        if (result != BALLAST_OK && pick.address_len == 0) {
            printf("%s: no backend and no listener to fall back to\n", ballast_result_name(result));
            return -1;
        }
        uint64_t start_us = now_us();
        int status = ask(&pick, path);
        int failed = status == 0 || status >= 500;
        printf("%s %s: %d\n", ballast_result_name(result),
               result == BALLAST_OK ? pick.backend : "(listener)", status);
        if (result == BALLAST_OK)
            ballast_report(client, &pick, failed ? BALLAST_FAILURE : BALLAST_SUCCESS,
                           now_us() - start_us);
        if (!failed)
            return 0;
        if (result != BALLAST_OK || attempt == ATTEMPTS)
            return -1;
        result = ballast_pick_other(client, &pick);
    }
}

int main(int argc, char **argv)
{
    struct ballast_options options = BALLAST_OPTIONS_INIT;
    char why[256];
    if (argc != 5 && argc != 6) {
        fprintf(stderr, "usage: example CONFIGURATION POOL PATH COUNT [LISTENER]\n");
        return 2;
    }
    options.fallback = argc == 6 ? argv[5] : NULL;
    struct ballast_client *client = ballast_client_open(argv[1], &options, why, sizeof why);
    if (!client) {
        fprintf(stderr, "example: %s\n", why);
        return 1;
    }
    int failed = 0;
    for (long count = strtol(argv[4], NULL, 10); count > 0; count--)
        failed += request(client, argv[2], argv[3]) == -1;
    ballast_client_close(client);
    return failed ? 1 : 0;
}
