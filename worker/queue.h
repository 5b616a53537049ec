/*
 * worker/queue.h: requests that wait for a place while every usable backend of their pool is full.
 * Each worker keeps its own in order; whose turn it is over all workers says shm/queue.h. A place
 * that this worker gives back is offered at the end of the iteration; for those that others give
 * back it looks every few milliseconds, only while somebody waits.
 */
#ifndef BALLAST_WORKER_QUEUE_H
#define BALLAST_WORKER_QUEUE_H

#include "worker/types.h"

/* Others came before: a newcomer does not overtake them. */
bool queue_must_wait(const struct txn *t);
/* Waits, or is answered with 503 when the queue is full. */
void queue_enter(struct txn *t);
/* Its turn has come. */
void queue_leave(struct txn *t);
/* Offers free places to those that wait. */
void queue_pump(struct worker *w);
void queue_init(struct worker *w);

#endif
