/*
 * master/daemon.h: --daemon and the pid file.
 */
#ifndef BALLAST_MASTER_DAEMON_H
#define BALLAST_MASTER_DAEMON_H

#include "master/state.h"

/* The process that was started has exited with the outcome: from here on it is the daemon that
 * runs. 0 or -1 (said on stderr). */
int daemon_begin(struct master *m) MUST_CHECK;
/* Tells the waiting parent that all is well and lets go of the terminal. */
void daemon_ready(struct master *m);

#endif
