/*
 * master/death.h: what the death of a process means, by the state it died in: the start fails, a
 * reload is rolled back, a drain is over, or it is a crash and a successor starts.
 */
#ifndef BALLAST_MASTER_DEATH_H
#define BALLAST_MASTER_DEATH_H

#include "master/state.h"

void death_reap(struct process *p);                      /* its pidfd says it is dead */
void death_unborn(struct process *p, const char *error); /* it could not be forked */

#endif
