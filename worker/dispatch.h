/*
 * worker/dispatch.h: PICK and CONNECT: a backend for the request, and another one when that fails.
 * Each of these may answer, end or restart the txn: the caller does not touch it afterwards.
 */
#ifndef BALLAST_WORKER_DISPATCH_H
#define BALLAST_WORKER_DISPATCH_H

#include "worker/types.h"

/* Picks a backend and connects; on failure asks the next one; waits in the pool's queue while all
 * are full; answers or closes when there is none. */
void txn_dispatch(struct txn *t);
/* It is the turn of one that waits. False: there is still no place. */
bool txn_dispatch_queued(struct txn *t);
/* The attempt is over and counted; another backend is asked (retry_begin said yes). */
void txn_retry(struct txn *t, bool keep_connection);
void txn_connected(struct txn *t);
void txn_connect_failed(struct txn *t, int error);
/* Connecting took too long. */
void txn_connect_timeout(struct txn *t);
/* The backend connection broke before the response was complete. why: static text. */
void txn_upstream_lost(struct txn *t, const char *why);
/* It sent what is no response. why: static text. */
void txn_bad_response(struct txn *t, const char *why);
/* It took too long with its answer, or with taking the request. */
void txn_response_timeout(struct txn *t);

#endif
