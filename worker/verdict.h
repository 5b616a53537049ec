/*
 * worker/verdict.h: what became of an attempt, told to the backend's passive health and circuit
 * breaker. Once per attempt.
 */
#ifndef BALLAST_WORKER_VERDICT_H
#define BALLAST_WORKER_VERDICT_H

#include "worker/types.h"

/* The attempt failed in this way (not a status); reason: for the event. */
void verdict_failed(struct txn *t, enum conf_failure failure, const char *reason);
/* It got an answer. */
void verdict_response(struct txn *t, unsigned status);
/* Nobody knows: the client left, or the tunnel is open. */
void verdict_none(struct txn *t);

#endif
