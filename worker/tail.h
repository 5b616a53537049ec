/*
 * worker/tail.h: the end of an answer that the client's socket did not take when its batch was sent
 * (worker/batch.h). The connection is CONN_TAIL then: nothing is read from it, and it is as idle
 * as it would have been only when the bytes are gone.
 */
#ifndef BALLAST_WORKER_TAIL_H
#define BALLAST_WORKER_TAIL_H

#include "worker/types.h"

/* Copies the bytes. False: no memory. */
bool tail_keep(struct conn *c, const char *bytes, uint32_t len) MUST_CHECK;
/* The socket has room: sends; behind the last byte the connection goes on, idle. */
void tail_push(struct conn *c);

#endif
