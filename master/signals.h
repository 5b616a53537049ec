/*
 * master/signals.h: signals as data: blocked for good and read from a signalfd, so that no handler,
 * and no state of libev, is there for a child to inherit.
 */
#ifndef BALLAST_MASTER_SIGNALS_H
#define BALLAST_MASTER_SIGNALS_H

#include "master/state.h"

int signals_block(void) MUST_CHECK; /* first thing: a signal during the start waits for the loop */
int signals_start(struct master *m) MUST_CHECK;
void signals_stop(struct master *m);

#endif
