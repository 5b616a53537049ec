/*
 * master/tickets.h: the keys of TLS session tickets: made before the first fork, renewed as often
 * as the longest session lasts, overwritten at the end.
 */
#ifndef BALLAST_MASTER_TICKETS_H
#define BALLAST_MASTER_TICKETS_H

#include "master/state.h"

/* Without them sessions are not resumed: said, not fatal. */
void tickets_start(struct master *m);
void tickets_stop(struct master *m);

#endif
