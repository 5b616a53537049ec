/*
 * cli/load.h: `ballast load`: one request again and again over so many connections, each with one
 * request at a time; how long every answer took, and who gave it. load.c reads the command line,
 * load_conn.c is the client, load_report.c says what came out.
 */
#ifndef BALLAST_CLI_LOAD_H
#define BALLAST_CLI_LOAD_H

#include <ev.h>
#include "base/http1.h"
#include "base/net.h"

#define LOAD_SERVERS_MAX 256u
#define LOAD_STATUS_MAX  600u
#define LOAD_NAME_BYTES  64u

enum load_failure { LOAD_CONNECT, LOAD_CLOSED, LOAD_TIMEOUT, LOAD_MALFORMED, LOAD_FAILURES };

struct load_plan {
    const char *url;
    struct net_addr addr;
    const char *request; /* as it goes out */
    size_t request_bytes;
    bool is_head, close;
    uint64_t requests;
    uint32_t concurrency;
    uint64_t timeout_ms;
    const char *by; /* header field that names who answered */
};

struct load_server {
    char name[LOAD_NAME_BYTES];
    uint64_t count;
};

struct load_result {
    uint32_t *took_us; /* of each answer, sorted in the end */
    uint64_t answered, begun, body_bytes;
    uint64_t statuses[LOAD_STATUS_MAX], failures[LOAD_FAILURES];
    struct load_server servers[LOAD_SERVERS_MAX];
    uint32_t server_count;
    uint64_t unnamed; /* answers that did not say who gives them, or of too many servers */
    uint64_t started_us, ended_us;
};

/* Until all requests are answered or failed, or a signal. 0, or -1 without memory. */
int load_run(const struct load_plan *p, struct load_result *r) MUST_CHECK;
void load_result_free(struct load_result *r);

uint64_t load_failed(const struct load_result *r);
void load_report_text(const struct load_plan *p, const struct load_result *r);
/* Into a file; "-": stdout. 0, or -1 with errno. */
int load_report_json(const struct load_plan *p, const struct load_result *r,
                     const char *path) MUST_CHECK;
extern const char *const load_failure_names[LOAD_FAILURES];

#endif
