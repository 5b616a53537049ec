/* What a pool may say about failing and full backends. */
#include "conf/rows_define.h"

#define FAILURES_HELP                                                                              \
    "any of `connect`, `reset` (a connection that broke, or an answer that is none), `timeout`, "  \
    "and statuses: `\"503\"`, `\"500-504\"`"

static const struct conf_row retry_rows[] = {
    {.name = "on",
     .type = CONF_T_FAILURES,
     FIELD(struct conf_retry, on),
     .fallback = "connect,reset,timeout",
     .also = "conditions retry_on",
     .help =
         "Failures after which another backend is asked: " FAILURES_HELP
         ". Beyond `connect` only for idempotent methods, and while the client has got nothing"},
    {.name = "attempts",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_retry, attempts),
     .fallback = "3",
     .min = 1,
     .max = 16,
     .also = "tries max",
     .help = "Backends asked for one request, the first included; `1`: no retries"},
    {.name = "timeout",
     .type = CONF_T_DURATION,
     FIELD(struct conf_retry, timeout_ms),
     .fallback = "10s",
     .min = 1,
     .max = HOUR,
     .help = "Counted from the request: after that no other backend is asked"},
    {.name = "budget",
     .type = CONF_T_PERCENT,
     FIELD(struct conf_retry, budget_percent),
     .fallback = "20%",
     .max = 100,
     .help = "Share of the pool's requests in flight that may be retries, over all workers; three "
             "may always"},
    {.name = "body_size",
     .type = CONF_T_SIZE,
     FIELD(struct conf_retry, body_bytes),
     .fallback = "64k",
     .max = 64 * KIB,
     .also = "buffer body",
     .help = "Longest request body that is kept to be sent again; longer ones are not retried once "
             "a part of them was sent"},
    END};
const struct conf_section conf_section_retry = {"pools.*.retry", retry_rows,
                                                "When another backend is asked."};

static const struct conf_row passive_rows[] = {
    {.name = "max_fails",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_passive, max_fails),
     .fallback = "3",
     .max = 10000,
     .help = "So many failures within `fail_timeout` and a backend gets no traffic for as long; "
             "`0`: off. The last usable backend of a pool is never taken out"},
    {.name = "fail_timeout",
     .type = CONF_T_DURATION,
     FIELD(struct conf_passive, fail_timeout_ms),
     .fallback = "30s",
     .min = 10,
     .max = 24 * HOUR,
     .help = "See `max_fails`"},
    {.name = "on",
     .type = CONF_T_FAILURES,
     FIELD(struct conf_passive, on),
     .fallback = "connect,reset,timeout",
     .help = "What counts as a failure: " FAILURES_HELP},
    END};
const struct conf_section conf_section_passive = {"pools.*.passive", passive_rows,
                                                  "Passive health: what the traffic itself tells."};

static const struct conf_row breaker_rows[] = {
    {.name = "failure_threshold",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_breaker, failure_threshold),
     .fallback = "5",
     .min = 1,
     .max = 250,
     .help = "Failures in a row that open it: the backend gets nothing"},
    {.name = "success_threshold",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_breaker, success_threshold),
     .fallback = "3",
     .min = 1,
     .max = 250,
     .help = "After `timeout` so many requests are let through, over all workers; when all of them "
             "succeed it closes, at the first failure it opens again"},
    {.name = "timeout",
     .type = CONF_T_DURATION,
     FIELD(struct conf_breaker, timeout_ms),
     .fallback = "60s",
     .min = 10,
     .max = 24 * HOUR,
     .help = "How long it stays open"},
    {.name = "on",
     .type = CONF_T_FAILURES,
     FIELD(struct conf_breaker, on),
     .fallback = "connect,reset,timeout,500-599",
     .help = "What counts as a failure: " FAILURES_HELP},
    END};
const struct conf_section conf_section_breaker = {
    "pools.*.circuit_breaker", breaker_rows,
    "A breaker per backend. There is none unless this group stands there, `{ }` at least."};

static const struct conf_row queue_rows[] = {
    {.name = "size",
     .type = CONF_T_NUMBER,
     FIELD(struct conf_queue, size),
     .fallback = "0",
     .max = 1000000,
     .also = "length max",
     .help = "Requests that may wait, over all workers, while every usable backend is at "
             "`max_connections`: the first to come is the first to go. `0`: none, they get 503"},
    {.name = "timeout",
     .type = CONF_T_DURATION,
     FIELD(struct conf_queue, timeout_ms),
     .fallback = "10s",
     .min = 1,
     .max = HOUR,
     .help = "Longest wait; then 503"},
    END};
const struct conf_section conf_section_queue = {"pools.*.queue", queue_rows,
                                                "Waiting for a place at a backend."};
