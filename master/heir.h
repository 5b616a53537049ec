/*
 * master/heir.h: who leaves and who stays: connects a worker that is about to drain with one that
 * serves, so that connections pass from one to the other (worker/handover.h) instead of ending.
 */
#ifndef BALLAST_MASTER_HEIR_H
#define BALLAST_MASTER_HEIR_H

#include "master/state.h"

/* Before process_drain. Without an heir, or without descriptors, it drains as ever. */
void heir_appoint(struct process *leaving);

#endif
