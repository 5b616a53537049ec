/*
 * master/guard.h: from the moment it was handed an instance until it serves, a new program that
 * crashes, or does not get on, becomes the old one again: a fatal signal executes the old program
 * in the same process, with what was handed over. The old workers serve meanwhile and are taken
 * over by it. The old program itself, back again, is not guarded.
 */
#ifndef BALLAST_MASTER_GUARD_H
#define BALLAST_MASTER_GUARD_H

#include "master/state.h"

void guard_begin(struct master *m); /* the letter has been read */
void guard_end(void);               /* it serves */
/* Back to the old program. Returns when that cannot be: errno. */
void guard_go_back(void);

#endif
