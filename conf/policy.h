/*
 * conf/policy.h: what a pool does when backends fail or are full: which failures count, retries,
 * passive checks, the circuit breaker, the queue.
 */
#ifndef BALLAST_CONF_POLICY_H
#define BALLAST_CONF_POLICY_H

#include "base/base.h"

/* A way for an attempt to fail: one of these, or a response status (100 to 599). */
enum conf_failure {
    CONF_FAILURE_CONNECT,
    CONF_FAILURE_RESET,
    CONF_FAILURE_TIMEOUT,
    CONF_FAILURE_NAMES,
    CONF_FAILURE_STATUS = 100,
    CONF_FAILURE_COUNT = 600
};

/* A set of them. */
struct conf_failures {
    uint64_t bits[(CONF_FAILURE_COUNT + 63) / 64];
};

static inline bool conf_failures_has(const struct conf_failures *set, unsigned failure)
{
    return failure < CONF_FAILURE_COUNT && (set->bits[failure / 64] >> (failure % 64) & 1) != 0;
}

struct conf_retry {
    struct conf_failures on;
    uint32_t attempts;   /* all in all */
    uint32_t timeout_ms; /* no new attempt after this */
    uint32_t budget_percent;
    uint32_t body_bytes; /* the longest body that is kept to be sent again */
};

struct conf_passive {
    uint32_t max_fails; /* 0: off */
    uint32_t fail_timeout_ms;
    struct conf_failures on;
};

struct conf_breaker {
    uint32_t failure_threshold, success_threshold;
    uint32_t timeout_ms;
    struct conf_failures on;
};

struct conf_queue {
    uint32_t size; /* 0: off */
    uint32_t timeout_ms;
};

enum conf_sticky_type {
    CONF_STICKY_COOKIE,
    CONF_STICKY_APP_COOKIE,
    CONF_STICKY_HEADER,
    CONF_STICKY_CLIENT_IP
};
enum conf_same_site {
    CONF_SAME_SITE_LAX,
    CONF_SAME_SITE_STRICT,
    CONF_SAME_SITE_NONE,
    CONF_SAME_SITE_UNSET
};
enum conf_secure { CONF_SECURE_AUTO, CONF_SECURE_ALWAYS, CONF_SECURE_NEVER };

struct conf_sticky {
    enum conf_sticky_type type;
    const char *name; /* of the cookie or the header field */
    const char *key;  /* "header:NAME" */
    uint32_t ttl_ms;  /* 0: for ever */
    const char *path;
    bool http_only;
    enum conf_secure secure;
    enum conf_same_site same_site;
};

enum conf_all_down { CONF_ALL_DOWN_FAIL, CONF_ALL_DOWN_TRY };

#endif
