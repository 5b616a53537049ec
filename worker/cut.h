/*
 * worker/cut.h: an operator cuts off a backend (?now=1 of a removal or of a maintenance): what is
 * in flight there ends now. A request that may be sent again is sent elsewhere, another one is
 * answered with 503 or broken off, and a tunnel is closed. Neither counts as a failure of the
 * backend.
 */
#ifndef BALLAST_WORKER_CUT_H
#define BALLAST_WORKER_CUT_H

#include "worker/types.h"

/* Looks whether somebody cut since the last look, and does it. Once a second; one load when
 * nobody did. */
void cut_look(struct worker *w);

#endif
