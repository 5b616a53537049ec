/*
 * master/trial.h: a program that runs beside this one for a while, with a limit, and says how it
 * went by its exit status and its last words. One at a time.
 */
#ifndef BALLAST_MASTER_TRIAL_H
#define BALLAST_MASTER_TRIAL_H

#include "master/state.h"
#include "proc/spawn.h"

/* clean: exit status 0; how: what else; words: what it wrote last, in one line. */
typedef void trial_over(struct master *m, bool clean, const char *how, const char *words);

/* Runs m->program. -1 with errno. */
int trial_begin(struct master *m, char *const *argv, struct spawn_keep keep, double limit_s,
                trial_over *over) MUST_CHECK;
void trial_kill(struct master *m);

#endif
