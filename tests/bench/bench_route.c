/* Nanoseconds per decision for tables of 10 to 10,000 routes; requests go round all of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "conf/route_match.h"

#define RUN_US   200000u /* of the processor, per figure */
#define REQUESTS 4096u

static const uint32_t sizes[] = {10, 100, 1000, 10000};
static const struct http1_limits limits = {4096, 64};

/* What of a head decides; a whole one for each would measure the cache. */
struct request {
    char bytes[128];
    struct http1_span method, path, authority;
};
static struct request *requests;
static struct http1_head head;
static char scratch[3 * 4096];

typedef void route_fn(char *out, size_t cap, uint32_t i);
typedef void request_fn(char *out, size_t cap, uint32_t i);

static void host_route(char *out, size_t cap, uint32_t i)
{
    snprintf(out, cap, "{ host = \"shop%u.example.com\", path = \"/api/\", pool = \"p\" },\n", i);
}
static void host_request(char *out, size_t cap, uint32_t i)
{
    snprintf(out, cap, "GET /api/v1/users HTTP/1.1\r\nHost: shop%u.example.com\r\n\r\n", i);
}
static void path_route(char *out, size_t cap, uint32_t i)
{
    snprintf(out, cap, "{ path = \"/service%u/\", pool = \"p\" },\n", i);
}
static void path_request(char *out, size_t cap, uint32_t i)
{
    snprintf(out, cap, "GET /service%u/v1/users HTTP/1.1\r\nHost: example.com\r\n\r\n", i);
}
static void wild_route(char *out, size_t cap, uint32_t i)
{
    snprintf(out, cap, "{ host = \"*.t%u.example.com\", methods = \"GET\", pool = \"p\" },\n", i);
}
static void wild_request(char *out, size_t cap, uint32_t i)
{
    snprintf(out, cap, "GET /x HTTP/1.1\r\nHost: www.t%u.example.com\r\n\r\n", i);
}

static const struct conf *load(struct arena *arena, struct arena *scrap, route_fn *route,
                               uint32_t n)
{
    size_t cap = 256 + 96ull * n;
    char *text = malloc(cap);
    struct conf_errors errors;
    size_t len = (size_t)snprintf(text, cap,
                                  "pools = { p = { backends = [ ] } }\nlisteners = { w = { bind = "
                                  "\"*:1\", pool = \"p\", routes = (\n");
    for (uint32_t i = 0; i < n; i++) {
        route(text + len, cap - len, i);
        len += strlen(text + len);
    }
    snprintf(text + len, cap - len, ") } }");
    conf_errors_init(&errors, scrap);
    const struct conf *c = conf_load_text(text, "bench", arena, &errors);
    if (!c)
        fputs(conf_errors_format(&errors), stderr);
    free(text);
    return c;
}

static void make_requests(request_fn *make, uint32_t n)
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        struct request *r = &requests[i];
        make(r->bytes, sizeof r->bytes, (uint32_t)((i * 2654435761ull) % n));
        http1_head_reset(&head);
        if (http1_parse_request(&head, r->bytes, (uint32_t)strlen(r->bytes), &limits) != HTTP1_DONE)
            abort();
        r->method = head.method;
        r->path = head.path;
        r->authority = head.authority;
    }
}

static uint64_t spent_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static double measure(const struct conf_routes *routes)
{
    struct route_match m;
    struct route_memo *memo = calloc(1, sizeof *memo);
    uint64_t done = 0, start_us = spent_us(), now_us = start_us;
    while (now_us - start_us < RUN_US) {
        for (uint32_t i = 0; i < REQUESTS; i++) {
            struct route_request q = {&head, requests[i].bytes, NULL, NULL, scratch, memo};
            head.method = requests[i].method;
            head.path = requests[i].path;
            head.authority = requests[i].authority;
            if (route_match(routes, &q, &m) != ROUTE_FOUND)
                abort();
        }
        done += REQUESTS;
        now_us = spent_us();
    }
    free(memo);
    return (double)(now_us - start_us) * 1000.0 / (double)done;
}

static void row(const char *name, route_fn *route, request_fn *make)
{
    printf("| %s |", name);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct arena arena, scrap;
        arena_init(&arena);
        arena_init(&scrap);
        const struct conf *c = load(&arena, &scrap, route, sizes[i]);
        if (!c)
            abort();
        make_requests(make, sizes[i]);
        printf(" %.0f |", measure(c->listeners[0].routes));
        fflush(stdout);
        arena_free(&arena);
        arena_free(&scrap);
    }
    printf("\n");
}

int main(void)
{
    requests = calloc(REQUESTS, sizeof *requests);
    if (!requests)
        return 1;
    printf("| ns per request at routes | 10 | 100 | 1,000 | 10,000 |\n| --- | --- | --- | --- | "
           "--- |\n");
    row("by host", host_route, host_request);
    row("by path", path_route, path_request);
    row("by wildcard host and method", wild_route, wild_request);
    free(requests);
    return 0;
}
