/*
 * worker/tail.h: the end of an answer that the client's socket did not take when its batch was sent
 * (worker/batch.h): kept, and sent before anything else as soon as there is room.
 */
#ifndef BALLAST_WORKER_TAIL_H
#define BALLAST_WORKER_TAIL_H

#include "worker/types.h"

/* Copies the bytes. From now on the connection has a link (worker/link.h). False: no memory, or the
 * connection has a link already. */
bool tail_attach(struct conn *c, const char *bytes, uint32_t len) MUST_CHECK;

#endif
