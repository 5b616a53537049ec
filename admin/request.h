/*
 * admin/request.h: one request of the admin API as handlers see it: text that was checked by the
 * grammar and copied out of the connection's buffer. Handlers are functions from a request to a
 * response and know nothing of sockets.
 */
#ifndef BALLAST_ADMIN_REQUEST_H
#define BALLAST_ADMIN_REQUEST_H

#include "base/arena.h"
#include "base/base.h"
#include "base/http1.h"

enum request_method {
    REQUEST_GET = 1,
    REQUEST_POST = 2,
    REQUEST_PUT = 4,
    REQUEST_DELETE = 8,
    REQUEST_OTHER = 16 /* well formed, and no row has it */
};

#define REQUEST_ID_BYTES   256u
#define REQUEST_BODY_MAX   65536u
#define REQUEST_PEER_BYTES 128u

struct request {
    unsigned method; /* enum request_method; HEAD is GET with head set */
    bool head;
    const char *path;  /* as sent, percent-encoded, without the query; never NULL */
    const char *query; /* without '?'; "" when there is none */
    const char *host, *origin, *authorization, *accept, *if_match; /* NULL: not sent */
    const char *body;
    size_t body_bytes;
    char id[REQUEST_ID_BYTES];      /* what stood at {id}, decoded */
    char service[REQUEST_ID_BYTES]; /* ... at {service} */
    /* where it came in */
    const char *peer;      /* for the flight recorder: "127.0.0.1:40312", "unix uid 0 pid 71" */
    bool bind_loopback;    /* reachable from this host's own programs only, over TCP: names must be
                              checked */
    const char *bind_host; /* host part of the bind as written */
};

/* Fills everything that a head says; texts are copied into the arena. The caller sets body, peer
 * and the bind's fields. */
void request_from_head(struct request *q, const struct http1_head *head, const char *buf,
                       struct arena *arena);
const char *request_method_name(unsigned method); /* "GET" */

/* Percent-decodes text[0..len) into out with a NUL. 0, or -1: malformed, a control byte, or longer
 * than cap. */
int request_decode(const char *text, size_t len, char *out, size_t cap) MUST_CHECK;
/* Value of a query parameter, decoded. 1 found, 0 absent, -1 malformed or too long. */
int request_query(const struct request *q, const char *name, char *out, size_t cap) MUST_CHECK;
/* The same for whole numbers: 1, 0 (*out untouched), or -1 not a number. Negative numbers are
 * allowed. */
int request_query_int(const struct request *q, const char *name, int64_t *out) MUST_CHECK;

#endif
