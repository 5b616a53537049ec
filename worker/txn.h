/*
 * worker/txn.h: one request or tunnel from its head to its accounting; the
 * way there is txn_start.h (steps) and dispatch.h (a backend), its deadlines deadline.c.
 */
#ifndef BALLAST_WORKER_TXN_H
#define BALLAST_WORKER_TXN_H

#include "worker/types.h"

/* A new request of this connection, its generation held; NULL: the connection was closed. */
struct txn *txn_begin(struct conn *c);
/* The only place that changes t->state. */
void txn_set_state(struct txn *t, enum txn_state state);
/* The response is complete (or the tunnel at its end) as far as the backend is concerned: gives
 * connection and place back. */
void txn_leave_backend(struct txn *t, bool keep_connection);
/* Everything was sent to the client: counts, frees, and goes on with the connection. */
void txn_finish(struct txn *t);
/* The connection is being closed (conn_close): the txn ends with it. why: static text. */
void txn_drop(struct txn *t, const char *why);
/* Another worker has this tunnel and will account for it: forgets it. */
void txn_give_up(struct txn *t);
/* Answers with an error of our own, or closes the connection when part of an answer was already
 * sent. */
void txn_fail(struct txn *t, unsigned status, const char *text);
/* The client sent its end of file while its request is at work. */
void txn_client_eof(struct txn *t);
void txn_on_timeout(struct txn *t);
/* Waits, at most ms, for something else than a peer: state TXN_WAIT until txn_advance() or
 * txn_dispatch(). */
void txn_wait(struct txn *t, const struct txn_wait *wait, uint32_t ms);
void txn_cancel_wait(struct txn *t);
/* Sets the deadline for whatever the txn now waits for. */
void txn_arm(struct txn *t);

#endif
