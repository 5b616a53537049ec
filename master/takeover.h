/*
 * master/takeover.h: the beginning of a master that took the place of another program's: it finds
 * sockets, table and children there already. See master/upgrade.h.
 */
#ifndef BALLAST_MASTER_TAKEOVER_H
#define BALLAST_MASTER_TAKEOVER_H

#include "master/state.h"

/* Was this process handed an instance? Then reads the letter. -1: it cannot be understood. */
int takeover_read(struct master *m) MUST_CHECK;
/* The table: the one there is, or, when its layout is another program's, a new one. -1 with why. */
int takeover_table(struct master *m, char *why, size_t why_cap) MUST_CHECK;
void takeover_children(struct master *m); /* after processes_init */
/* The new workers serve: what the old table said goes into a new one; the old processes drain. */
void takeover_done(struct master *m);
void takeover_forget(struct master *m); /* what was handed over; descriptors in use stay */
/* It cannot be done: back to the old program. Returns when there is none. */
void takeover_failed(struct master *m, const char *why);

#endif
