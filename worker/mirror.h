/*
 * worker/mirror.h: a copy of a request for another pool. What comes back is dropped, and so is the
 * copy when there is no room for it: the request itself never waits and never fails for it.
 */
#ifndef BALLAST_WORKER_MIRROR_H
#define BALLAST_WORKER_MIRROR_H

#include "worker/types.h"

/* The request goes to its backend: its head and what is here of its body are in t->up_head and at
 * the front of the connection's input. Of the rest mirror_more tells, had bytes of which were
 * ready before. */
void mirror_copy(struct txn *t);
void mirror_more(struct txn *t, uint32_t had);
/* The request ended before its body did. */
void mirror_end(struct txn *t);

#endif
