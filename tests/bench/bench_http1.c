/*
 * tests/bench/bench_http1.c: nanoseconds per message head, for a request of 80 and one of 695 bytes
 * and for a usual response, and per chunk of a chunked body. Prints the best of several rounds: the
 * rest is the machine's noise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/http1.h"

#define ROUNDS      15
#define PER_ROUND   100000
#define CHUNK_COUNT 64

static const char small_request[] = "GET /api/v1/items?id=42 HTTP/1.1\r\n"
                                    "Host: www.example.com\r\n"
                                    "User-Agent: wrk/4.1\r\n\r\n";

static const char large_request[] =
    "GET /wp-content/uploads/2010/03/hello-kitty-darth-vader-pink.jpg HTTP/1.1\r\n"
    "Host: example.com\r\n"
    "User-Agent: Mozilla/5.0 (Macintosh; U; Intel Mac OS X 10.6; ja-JP-mac; rv:1.9.2.3) "
    "Gecko/20100401 Firefox/3.6.3 Pathtraq/0.9\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: ja,en-us;q=0.7,en;q=0.3\r\n"
    "Accept-Encoding: gzip,deflate\r\n"
    "Accept-Charset: Shift_JIS,utf-8;q=0.7,*;q=0.7\r\n"
    "Keep-Alive: 115\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: wp_ozh_wsa_visits=2; wp_ozh_wsa_visit_lasttime=xxxxxxxxxx; "
    "__utma=xxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.x; "
    "__utmz=xxxxxxxxx.xxxxxxxxxx.x.x.utmccn=(referral)|utmcsr=reader.livedoor.com|"
    "utmcct=/reader/|utmcmd=referral\r\n\r\n";

static const char response[] = "HTTP/1.1 200 OK\r\n"
                               "Server: nginx/1.22.1\r\n"
                               "Date: Mon, 27 Jul 2026 12:28:53 GMT\r\n"
                               "Content-Type: application/json; charset=utf-8\r\n"
                               "Content-Length: 1024\r\n"
                               "Connection: keep-alive\r\n"
                               "Cache-Control: no-store\r\n\r\n";

static struct http1_head head;
static const struct http1_limits limits = {.head_bytes = 32768, .headers = 128};

struct job {
    const char *name;
    const char *bytes;
    uint32_t len;
    void (*run)(const struct job *job);
};

static void must(enum http1_result r)
{
    if (r != HTTP1_DONE) {
        fprintf(stderr, "bench_http1: the parser refused a benchmark's input\n");
        exit(1);
    }
}

static void run_request(const struct job *job)
{
    http1_head_reset(&head);
    must(http1_parse_request(&head, job->bytes, job->len, &limits));
}

static void run_response(const struct job *job)
{
    http1_head_reset(&head);
    must(http1_parse_response(&head, job->bytes, job->len, &limits, false, false));
}

static void run_chunked(const struct job *job)
{
    struct http1_chunked c;
    uint32_t at = 0, consumed;
    struct http1_span payload;
    enum http1_result r;

    http1_chunked_reset(&c);
    do {
        r = http1_chunked_step(&c, job->bytes + at, job->len - at, &consumed, &payload);
        at += consumed;
    } while (r == HTTP1_MORE && consumed > 0);
    must(r);
}

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void measure(const struct job *job, unsigned per_round, unsigned units)
{
    double best = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        double begin = now_ns();
        for (unsigned i = 0; i < per_round; i++) {
            job->run(job);
        }
        double took = (now_ns() - begin) / per_round / units;
        best = round == 0 || took < best ? took : best;
    }
    printf("%-16s %6u bytes %8.1f ns\n", job->name, job->len, best);
}

static uint32_t chunked_body(char *out)
{
    uint32_t at = 0;

    for (unsigned i = 0; i < CHUNK_COUNT; i++) {
        at += (uint32_t)sprintf(out + at, "400\r\n");
        memset(out + at, 'x', 1024);
        at += 1024;
        at += (uint32_t)sprintf(out + at, "\r\n");
    }
    return at + (uint32_t)sprintf(out + at, "0\r\n\r\n");
}

int main(void)
{
    static char body[CHUNK_COUNT * 1040 + 16];
    const struct job jobs[] = {
        {"request, small", small_request, sizeof(small_request) - 1, run_request},
        {"request, large", large_request, sizeof(large_request) - 1, run_request},
        {"response", response, sizeof(response) - 1, run_response},
        {"one chunk of", body, chunked_body(body), run_chunked},
    };

    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        bool chunked = jobs[i].run == run_chunked;
        measure(&jobs[i], chunked ? PER_ROUND / CHUNK_COUNT : PER_ROUND, chunked ? CHUNK_COUNT : 1);
    }
    return 0;
}
