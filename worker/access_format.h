/*
 * worker/access_format.h: a line of the access log, written into a buffer. Pure. What a client sent
 * is escaped, so that no byte of it can end a line, a field or a JSON string: \xHH in combined and
 * common, \u00HH in JSON for what is not UTF-8. Long values are cut: a line always fits into
 * ACCESS_LINE_BYTES, which a pipe takes in one piece.
 */
#ifndef BALLAST_WORKER_ACCESS_FORMAT_H
#define BALLAST_WORKER_ACCESS_FORMAT_H

#include "conf/conf.h"

#define ACCESS_LINE_BYTES 4096u /* PIPE_BUF */

struct access_text {
    const char *at; /* NULL: there is none */
    uint32_t len;
};

struct access_line {
    uint64_t wall_ms;
    struct access_text request_id, method, host, target, user_agent, referer, trace_id;
    const char *client, *listener, *protocol, *pool, *backend, *termination, *tls; /* or NULL */
    uint32_t status, attempts;
    uint64_t bytes_in, bytes_out, duration_us;
    uint64_t backend_us; /* UINT64_MAX: no backend answered */
};

/* Writes the line with its LF; out holds ACCESS_LINE_BYTES. Returns its length. */
size_t access_format(enum conf_access_format format, const struct access_line *l, char *out);

#endif
