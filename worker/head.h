/*
 * worker/head.h: message heads as they leave: the request to the backend, the response to the
 * client. Runs of fields that do not change are copied as they stand. Hop-by-hop fields are removed
 * (RFC 9110 7.6.1); a Connection field can never remove what frames or addresses the message (Host,
 * Content-Length, Transfer-Encoding).
 */
#ifndef BALLAST_WORKER_HEAD_H
#define BALLAST_WORKER_HEAD_H

#include "worker/types.h"

#define HEAD_ADDED_BYTES                                                                           \
    1024u /* what we add to a head at most, but for copies of its own fields                       \
           */

#define HEAD_STATUS_BYTES   32u   /* a status line without its reason */
#define HEAD_IDENTITY_BYTES 2048u /* who a client with a certificate is */

#define HEAD_HOST_BYTES (NET_ADDR_STRLEN + 8) /* but for the authority */

/* Builds t->up_head from the parsed head at the start of conn->in. 0, or -1 no memory. */
int head_build_request(struct txn *t, const struct http1_head *h) MUST_CHECK;
/* Appends the Host field; there is room for the authority and HEAD_HOST_BYTES. */
void head_add_host(struct txn *t, struct buf *out, const struct http1_head *h, const char *base);
/* May the response head go to the client byte for byte? */
bool head_response_as_is(const struct txn *t, const struct http1_head *h);
/* How much room that one may take. */
uint32_t head_response_bytes(const struct txn *t, const struct http1_head *h);
/* Appends the response head to t->head_out from the parsed head at the start of t->rbuf. 0, or -1
 * no memory. */
int head_build_response(struct txn *t, const struct http1_head *h) MUST_CHECK;
/* The same for an interim (1xx) response; there is room for it (head_bytes and
 * HEAD_STATUS_BYTES). */
void head_build_interim(struct txn *t, const struct http1_head *h);
/* Strict-Transport-Security as the listener wants it, with its CRLF, or "". */
const char *head_hsts(const struct txn *t);
bool head_accepts_html(const struct http1_head *h, const char *bytes);

#endif
