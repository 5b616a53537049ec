/*
 * worker/reply.h: the balancer's own answers. Errors are JSON {"error": "..."}, HTML for those who
 * ask for it, or an error page of the configuration.
 */
#ifndef BALLAST_WORKER_REPLY_H
#define BALLAST_WORKER_REPLY_H

#include "worker/types.h"

struct reply {
    unsigned status;
    const char *content_type; /* NULL: no body */
    const char *body;
    uint32_t body_len;
    const char *fields; /* more header fields, each with its CRLF; NULL: none */
    uint32_t fields_len;
    bool configured; /* what a route asked for: it gets all response_headers, an error only those
                        that say `always` */
};

/* Puts the answer in t->head_out and begins to send it. Nothing was sent before. */
void reply_send(struct txn *t, const struct reply *r);
/* text: no characters that need escaping. */
void reply_error(struct txn *t, unsigned status, const char *text);
/* The same with more header fields ("Retry-After: 5\r\n"). */
void reply_error_with(struct txn *t, unsigned status, const char *text, const char *fields);

#endif
