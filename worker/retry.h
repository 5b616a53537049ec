/*
 * worker/retry.h: whether and how a request is sent once more. Never one that is not idempotent
 * once a byte of it may have been acted on (RFC 9110 9.2.2), and none whose answer has begun.
 */
#ifndef BALLAST_WORKER_RETRY_H
#define BALLAST_WORKER_RETRY_H

#include "worker/types.h"

/* Could it be sent again at all? All that was sent is still here, and acting twice does no harm. */
bool retry_possible(const struct txn *t);
/* Is another backend to be asked after this failure (enum conf_failure, or a status)? Then the
 * request has a place in the pool's retry budget, until it ends (retry_end). */
bool retry_begin(struct txn *t, unsigned failure);
void retry_end(struct txn *t);
/* As if nothing had been sent or received. */
void retry_rewind(struct txn *t);

#endif
