/*
 * master/reading.h: reads a configuration for a reload. Names that must be resolved, slow disks and
 * thousands of certificates take seconds, and the master must not wait: a short-lived copy of it
 * fills the new generation's memory and leaves there, in the first bytes, what came of it. If that
 * process dies or hangs there is no new generation, and nothing else happened.
 */
#ifndef BALLAST_MASTER_READING_H
#define BALLAST_MASTER_READING_H

#include "master/state.h"

/* g: read and not sealed yet, the master's to forget; NULL: errors say why. */
typedef void reading_over(struct master *m, struct generation *g, struct conf_errors *errors);

/* One at a time. 0: over() will be called from the loop; -1: errors say why not. */
int reading_begin(struct master *m, reading_over *over, struct conf_errors *errors) MUST_CHECK;
bool reading_runs(const struct master *m);
/* Ends it; over() is not called any more. */
void reading_cancel(struct master *m);

#endif
