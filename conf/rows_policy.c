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

static const char *const sticky_types[] = {[CONF_STICKY_COOKIE] = "cookie",
                                           [CONF_STICKY_APP_COOKIE] = "app_cookie",
                                           [CONF_STICKY_HEADER] = "header",
                                           [CONF_STICKY_CLIENT_IP] = "client_ip",
                                           NULL};
static const char *const same_sites[] = {[CONF_SAME_SITE_LAX] = "lax",
                                         [CONF_SAME_SITE_STRICT] = "strict",
                                         [CONF_SAME_SITE_NONE] = "none",
                                         [CONF_SAME_SITE_UNSET] = "unset",
                                         NULL};
static const char *const secures[] = {[CONF_SECURE_AUTO] = "auto",
                                      [CONF_SECURE_ALWAYS] = "always",
                                      [CONF_SECURE_NEVER] = "never",
                                      NULL};

static const struct conf_row sticky_rows[] = {
    {.name = "type",
     .type = CONF_T_ENUM,
     FIELD(struct conf_sticky, type),
     .fallback = "cookie",
     .names = sticky_types,
     .help =
         "`cookie`: one of ours is inserted, its value names no address, and backends never see "
         "it; `app_cookie`: one that the application sets to the name of its backend; `header`: "
         "clients with the same value of a field; `client_ip`. A draining backend keeps its "
         "clients, one that fails or is in maintenance loses them to another"},
    {.name = "name",
     .type = CONF_T_STRING,
     .flags = CONF_DERIVED,
     FIELD(struct conf_sticky, name),
     .fallback = "cookie: SERVERID; app_cookie, header: required",
     .max = 64,
     .also = "cookie_name header_name",
     .help = "Of the cookie or the header field"},
    {.name = "ttl",
     .type = CONF_T_DURATION,
     FIELD(struct conf_sticky, ttl_ms),
     .fallback = "1h",
     .max = DURATION_MAX,
     .also = "timeout expire max_age",
     .help =
         "`cookie`: its Max-Age, given anew to clients that come back after half of it; "
         "`\"0s\"`: until the browser closes. `header`, `client_ip`: how long a client that does "
         "not come is remembered; `\"0s\"`: as long as there is room for 500,000 of them"},
    {.name = "path",
     .type = CONF_T_URI_PATH,
     FIELD(struct conf_sticky, path),
     .fallback = "/",
     .max = 128,
     .help = "Path of the inserted cookie"},
    {.name = "http_only",
     .type = CONF_T_BOOL,
     FIELD(struct conf_sticky, http_only),
     .fallback = "true",
     .help = "The inserted cookie is hidden from scripts"},
    {.name = "secure",
     .type = CONF_T_ENUM,
     FIELD(struct conf_sticky, secure),
     .fallback = "auto",
     .names = secures,
     .help = "The inserted cookie is sent over TLS only; `auto`: when it was given over TLS"},
    {.name = "same_site",
     .type = CONF_T_ENUM,
     FIELD(struct conf_sticky, same_site),
     .fallback = "lax",
     .names = same_sites,
     .help = "SameSite of the inserted cookie; `unset`: the attribute is left out"},
    END};
const struct conf_section conf_section_sticky = {
    "pools.*.sticky", sticky_rows,
    "Sessions: the same client goes to the same backend. There are none unless this group stands "
    "there, `{ }` at least."};
