/*
 * master/access_logs.h: access logs are opened here, with the master's privileges, and handed to
 * the workers. Listeners that name the same target share one sink; it keeps its number while any
 * generation in memory names it.
 */
#ifndef BALLAST_MASTER_ACCESS_LOGS_H
#define BALLAST_MASTER_ACCESS_LOGS_H

#include "master/state.h"

/* Opens what the configuration names and is not open; writes the numbers into it. -1 with problems
 * in errors. */
int access_logs_prepare(struct master *m, struct conf *conf, struct conf_errors *errors) MUST_CHECK;
/* To a worker that was just started: all of them. */
void access_logs_send(struct process *p);
/* SIGUSR1: files are opened again. */
void access_logs_reopen(struct master *m);
/* Closes what no generation in memory names. */
void access_logs_sweep(struct master *m);
/* At the end: all of them. */
void access_logs_close(struct master *m);

#endif
