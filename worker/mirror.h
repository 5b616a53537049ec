/*
 * worker/mirror.h: a copy of a request for another pool. What comes back is dropped, and so is the
 * copy when there is no room for it: the request itself never waits and never fails for it.
 */
#ifndef BALLAST_WORKER_MIRROR_H
#define BALLAST_WORKER_MIRROR_H

#include "worker/types.h"

/* t->up_head holds the request as it goes to its backend. Only one that is there as a whole, body
 * included, is copied. */
void mirror_copy(struct txn *t);

#endif
