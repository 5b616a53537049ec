/*
 * worker/relay.h: RELAY: bodies through bounded buffers, one per direction, with back-pressure: a
 * side that cannot take more stops the other side's reading. Only validated bytes are forwarded.
 * The request half is relay_request.c, the response half relay_response.c.
 */
#ifndef BALLAST_WORKER_RELAY_H
#define BALLAST_WORKER_RELAY_H

#include "worker/types.h"

/* Validates body bytes in conn->in and marks them ready. False: the txn was answered or ended (bad
 * chunk, too large). */
bool relay_request_take(struct txn *t) MUST_CHECK;
/* Moves what is ready behind the head in up_head, so that it can be sent again; one that does not
 * fit ends that for good. */
void relay_request_keep(struct txn *t);
/* Sends what is ready to the backend and sets what both watchers wait for. */
void relay_request_push(struct txn *t);
/* The client is readable while a request is at work: body bytes, a pipelined request, or its end.
 */
void relay_request_readable(struct txn *t);
uint32_t relay_request_pending(const struct txn *t); /* bytes ready and not sent */

void relay_response_readable(struct txn *t);
/* Sends what is ready to the client; finishes the txn when that was the last of it. */
void relay_response_push(struct txn *t);
/* The same without the rest: 1 all is sent, 0 the client takes no more now, -1 it is gone. */
int relay_response_send(struct txn *t) MUST_CHECK;
/* The answer is a stored one: its head is in t->res, at the start of t->rbuf, with nothing behind
 * it; its body comes from cache_more(). */
void relay_response_stored(struct txn *t);
uint32_t relay_response_pending(const struct txn *t);

/* What is ready is the whole rest of the message, and small: it leaves at the end of the turn
 * (worker/batch.h). A request: only one that may be sent again, to a connection that served others.
 * An answer: only one behind which the connection stays open. False: send it now. */
bool relay_request_batched(struct txn *t);
bool relay_response_batched(struct txn *t);

#endif
