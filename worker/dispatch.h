/*
 * worker/dispatch.h: PICK and CONNECT: a backend for the request, and another one when that fails.
 */
#ifndef BALLAST_WORKER_DISPATCH_H
#define BALLAST_WORKER_DISPATCH_H

#include "worker/types.h"

/* Picks a backend and connects; on failure asks the next one; answers or closes when there is none.
 */
void txn_dispatch(struct txn *t);
void txn_connected(struct txn *t);
void txn_connect_failed(struct txn *t, int error);
/* Connecting took too long. */
void txn_connect_timeout(struct txn *t);
/* The backend connection broke before the response was complete. why: static text. */
void txn_upstream_lost(struct txn *t, const char *why);

#endif
