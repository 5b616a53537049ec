/*
 * master/rehearsal.h: before a new program takes this one's place it shows that it can: as a child,
 * with copies of the listening sockets and a table of its own, it starts with the current file
 * until all of its processes are ready to serve, and ends. Nobody is served by them.
 */
#ifndef BALLAST_MASTER_REHEARSAL_H
#define BALLAST_MASTER_REHEARSAL_H

#include "master/trial.h"

/* Begins. -1 with errno. */
int rehearsal_begin(struct master *m, trial_over *over) MUST_CHECK;

/* In the new program: a table that nobody finds; -1 with why. */
int rehearsal_table(struct master *m, char *why, size_t why_cap) MUST_CHECK;
/* Everybody is ready: the end. */
void rehearsal_passed(struct master *m);

#endif
