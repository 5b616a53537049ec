/*
 * master/offer.h: telling a process about a generation: the bundle, its new sockets, and what
 * became of it.
 */
#ifndef BALLAST_MASTER_OFFER_H
#define BALLAST_MASTER_OFFER_H

#include "master/state.h"

void offer_send(struct process *p, struct generation *g);
/* The sockets of a worker that waits for its successor, to a sibling, who takes what is queued. */
void offer_queues(struct master *m, const struct process *dead);
void offer_commit(struct process *p);   /* GO */
void offer_withdraw(struct process *p); /* ABORT */

#endif
