/*
 * worker/txn.h: one request or tunnel from its head to its accounting: ROUTE, PICK and what happens
 * when an attempt fails.
 */
#ifndef BALLAST_WORKER_TXN_H
#define BALLAST_WORKER_TXN_H

#include "worker/types.h"

#define TXN_ATTEMPTS_MAX 3u /* backends asked for one request */

/* conn->head was parsed from conn->in: begins the request. */
void txn_start_http(struct conn *c);
/* conn->head could not be parsed: answers with this status and closes. */
void txn_start_refused(struct conn *c, unsigned status, const char *text);
/* A TCP connection: a tunnel from the start. */
void txn_start_tcp(struct conn *c);

/* The only place that changes t->state. */
void txn_set_state(struct txn *t, enum txn_state state);
/* Picks a backend and connects; on failure asks the next one; answers or closes when there is none.
 */
void txn_dispatch(struct txn *t);
void txn_connected(struct txn *t);
void txn_connect_failed(struct txn *t, int error);
/* The backend connection broke before the response was complete. why: static text. */
void txn_upstream_lost(struct txn *t, const char *why);
/* The response is complete (or the tunnel at its end) as far as the backend is concerned: gives
 * connection and place back. */
void txn_leave_backend(struct txn *t, bool keep_connection);
/* Everything was sent to the client: counts, frees, and goes on with the connection. */
void txn_finish(struct txn *t);
/* The connection is being closed (conn_close): the txn ends with it. why: static text. */
void txn_drop(struct txn *t, const char *why);
/* Answers with an error of our own, or closes the connection when part of an answer was already
 * sent. */
void txn_fail(struct txn *t, unsigned status, const char *text);
/* The client sent its end of file while its request is at work. */
void txn_client_eof(struct txn *t);
void txn_on_timeout(struct txn *t);
/* Sets the deadline for whatever the txn now waits for. */
void txn_arm(struct txn *t);

#endif
