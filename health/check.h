/*
 * health/check.h: one running check: a descriptor, a deadline, an outcome. The schedule owns the
 * object, starts it and is told the outcome exactly once through `done` (possibly before
 * check_start returns). A type of check is one file with one start function and one row in check.c;
 * it moves along with check_open / check_wait / check_send / check_recv and ends in check_pass,
 * check_fail or check_impossible.
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
struct ssl_st;

struct check_type {
    const char *name;
    enum conf_health_type type;
    void (*start)(struct check *c);
    /* Frees c->state, which is not NULL. */
    void (*forget)(struct check *c);
    /* In place of the usual failure when the deadline passes. NULL: the usual one. */
    void (*silence)(struct check *c);
    const char *alpn; /* over TLS, in the protocol's own form; NULL: none */
};

struct check {
    uint32_t magic;
    int fd; /* -1: none */
    struct ev_loop *loop;
    ev_io io;
    ev_timer deadline;
    const struct check_type *type;
    const struct conf_health *health; /* must stay mapped until done */
    const struct net_addr *addr;      /* of the traffic; health->port overrides its port */
    const char *endpoint;             /* as shown: the Host field when health->host is "" */
    const char *phase;                /* what it is doing, for the reason of a timeout */
    void (*ready)(struct check *c);   /* called when the descriptor is */
    void (*opened)(struct check *c);  /* called when the connection is open */
    void (*done)(struct check *c, const struct check_result *r);
    void *state;        /* of the type; NULL: none */
    struct ssl_st *tls; /* NULL: plain */
    uint64_t started_us;
    uint32_t sent_bytes;
    bool connected; /* else the connect may still be on its way */
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

/* For the types. Each of the endings closes the descriptor and calls done. */
void check_wait(struct check *c, int events, const char *phase, void (*ready)(struct check *c));
void check_pass(struct check *c, uint32_t code, const char *fmt, ...) PRINTF(3, 4);
void check_fail(struct check *c, uint32_t code, const char *fmt, ...) PRINTF(3, 4);
void check_fail_errno(struct check *c, const char *what, int err);
void check_impossible(struct check *c, const char *reason);

/* check_stream.c: the connection, plain or inside TLS. */

/* Connects, shakes hands where TLS is wanted, then calls opened; when that fails the check ends.
 * Plain, opened may be called while the connect is still on its way: what is sent then waits, and
 * check_send says what became of the connect. */
void check_open(struct check *c, void (*opened)(struct check *c));
/* Sends the rest of data after the first c->sent_bytes and counts them there. True: all is sent.
 * False: the check has ended, or waits and calls `again`. */
bool check_send(struct check *c, const void *data, uint32_t len,
                void (*again)(struct check *c)) MUST_CHECK;
/* Bytes read; 0: the end; -1: nothing now, or the check has ended (c->fd is -1 then). While there
 * may be more, ask again: TLS holds what the descriptor does not show. */
ssize_t check_recv(struct check *c, void *data, uint32_t cap) MUST_CHECK;
/* The host of the endpoint without its port: "10.0.0.1", "::1", "name"; "" for a unix socket. */
void check_host(const struct check *c, char *out, size_t cap);
/* Where the check goes: the traffic's address with the check's port. */
struct net_addr check_address(const struct check *c);
/* Frees what TLS holds; harmless without. */
void check_close_tls(struct check *c);

void check_tcp_start(struct check *c);
void check_tcp_forget(struct check *c);
void check_tls_start(struct check *c);
void check_udp_start(struct check *c);
void check_udp_silence(struct check *c);
void check_grpc_start(struct check *c);
void check_grpc_forget(struct check *c);
void check_http_start(struct check *c);
void check_http_forget(struct check *c);

#endif
