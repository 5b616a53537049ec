/*
 * worker/access_format.h: a line of the access log, written into a buffer. Pure. What a client sent
 * is escaped, so that no byte of it can end a line, a field or a JSON string: \xHH in combined and
 * common, \u00HH in JSON for what is not UTF-8. Long values are cut: a line always fits into
 * ACCESS_LINE_BYTES, which a pipe takes in one piece.
 *
 * It is written in two steps: what a head says goes into its parts of the line while the head is
 * there, so that it is copied and looked at once; the rest when the request has ended.
 */
#ifndef BALLAST_WORKER_ACCESS_FORMAT_H
#define BALLAST_WORKER_ACCESS_FORMAT_H

#include "conf/conf.h"

#define ACCESS_LINE_BYTES 4096u /* PIPE_BUF */
#define ACCESS_HEAD_BYTES 3200u /* of it, at most, what is known with the head */

struct access_text {
    const char *at; /* NULL: there is none */
    uint32_t len;
};

/* With a head, or with a connection that has none. */
struct access_head {
    struct access_text request_id, target, user_agent, referer;
    /* Words: the grammar (RFC 9110 5.6.2, RFC 3986 3.2.2) or we see to it that there is nothing in
     * them to be escaped. */
    struct access_text method, host, client, listener, protocol;
    bool own_id; /* request_id is a word as well */
};

/* What is known with the head, as it will stand in the line. */
enum access_part { ACCESS_FRONT, ACCESS_REQUEST, ACCESS_BACK, ACCESS_USER, ACCESS_PARTS };
struct access_parts {
    uint8_t format; /* enum conf_access_format */
    uint16_t len[ACCESS_PARTS];
    char text[ACCESS_HEAD_BYTES]; /* one behind the other */
};

/* At the end. */
struct access_line {
    uint64_t wall_ms, bytes_out;
    uint32_t status;
    /* only in JSON; not looked at in the others */
    uint32_t attempts;
    struct access_text trace_id, backend;
    struct access_text pool, termination, tls; /* words of ours */
    uint64_t bytes_in, duration_us;
    uint64_t backend_us; /* UINT64_MAX: no backend answered */
};

void access_format_head(enum conf_access_format format, const struct access_head *h,
                        struct access_parts *out);
/* After the head: who the client says it is, with a password that was right or not. */
void access_format_user(struct access_text name, struct access_parts *p);
/* Bytes of text that are used. */
uint32_t access_format_bytes(const struct access_parts *p);
/* Writes the line with its LF; out holds ACCESS_LINE_BYTES. Returns its length. */
size_t access_format(const struct access_parts *p, const struct access_line *l, char *out);

#endif
