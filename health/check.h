/*
 * health/check.h: one running check: a descriptor, a deadline, an outcome. The schedule owns the
 * object, starts it and is told the outcome exactly once through `done` (possibly before
 * check_start returns). A type of check is one file with one start function and one row in check.c;
 * it moves along with check_connect / check_wait and ends in check_pass, check_fail or
 * check_impossible.
 *
 * Whatever the backend does - refuse, reset, stay silent, send garbage or half an answer - is a
 * failure with a reason. What is this host's own fault (no descriptor, no memory, no local port,
 * this process stopped) is CHECK_IMPOSSIBLE and says nothing about the backend.
 */
#ifndef BALLAST_HEALTH_CHECK_H
#define BALLAST_HEALTH_CHECK_H

#include <ev.h>
#include "base/magic.h"
#include "base/net.h"
#include "conf/conf.h"

enum check_outcome { CHECK_PASSED, CHECK_FAILED, CHECK_IMPOSSIBLE };

struct check_result {
    enum check_outcome outcome;
    uint32_t code;       /* HTTP status, or -errno as uint32, or 0 */
    uint32_t latency_us; /* from the start of the connect to the outcome */
    char reason[144];
};

struct check;
struct check_exchange; /* a response being read (check_http.c) */

struct check_type {
    const char *name;
    enum conf_health_type type;
    void (*start)(struct check *c);
};

struct check {
    uint32_t magic;
    int fd; /* -1: none */
    struct ev_loop *loop;
    ev_io io;
    ev_timer deadline;
    const struct conf_health *health; /* must stay mapped until done */
    const struct net_addr *addr;      /* of the traffic; health->port overrides its port */
    const char *endpoint;             /* as shown: the Host field when health->host is "" */
    const char *phase;                /* what it is doing, for the reason of a timeout */
    void (*ready)(struct check *c);   /* called when the descriptor is */
    void (*done)(struct check *c, const struct check_result *r);
    struct check_exchange *exchange; /* only while a response is being read */
    uint64_t started_us;
    uint32_t sent_bytes;
};

/* Rows of check.c, NULL-terminated name. */
extern const struct check_type check_types[];

void check_init(struct check *c, struct ev_loop *loop,
                void (*done)(struct check *c, const struct check_result *r));
/* Begins a check of health->type, which is not CONF_HEALTH_NONE. */
void check_start(struct check *c, const struct conf_health *health, const struct net_addr *addr,
                 const char *endpoint);
/* Ends it without an outcome: the backend or the process is going away. Harmless when it is not
 * running. */
void check_abort(struct check *c);

/* For the types. Each of the endings closes the descriptor and calls done. check_connect starts the
 * connect; false: the check has ended already. */
bool check_connect(struct check *c) MUST_CHECK;
void check_wait(struct check *c, int events, const char *phase, void (*ready)(struct check *c));
void check_pass(struct check *c, uint32_t code, const char *reason);
void check_fail(struct check *c, uint32_t code, const char *fmt, ...) PRINTF(3, 4);
void check_fail_errno(struct check *c, const char *what, int err);
void check_impossible(struct check *c, const char *reason);

void check_tcp_start(struct check *c);
void check_http_start(struct check *c);
void check_http_forget(struct check *c); /* frees c->exchange */

#endif
