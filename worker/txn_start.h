/*
 * worker/txn_start.h: the steps of a request before it has a backend. A step gets the parsed head
 * and its bytes (conn->head, conn->in: there until step_forward), and answers: true: go on; false:
 * the request was answered (txn_fail, reply_error), or waits: the step called txn_wait(), and
 * whoever it waits for calls txn_advance() to go on with the next step. A step that cannot wait any
 * more (its `over`) answers or advances; one whose txn ends meanwhile is told by `cancel`.
 */
#ifndef BALLAST_WORKER_TXN_START_H
#define BALLAST_WORKER_TXN_START_H

#include "worker/types.h"

/* conn->head was parsed from conn->in: begins the request. */
void txn_start_http(struct conn *c);
/* conn->head could not be parsed: answers with this status and closes. */
void txn_start_refused(struct conn *c, unsigned status, const char *text);
/* A TCP connection: a tunnel from the start. */
void txn_start_tcp(struct conn *c, uint32_t pool);
/* Goes on with the next step. Not from within a step. */
void txn_advance(struct txn *t);
/* The request's head is done with: its bytes are consumed. */
void txn_release_head(struct txn *t);

/* A request of our own, as route, pool and generation of the txn say: to the backend with it. */
void txn_start_own(struct txn *t);

#endif
