/*
 * master/pidfile.h: the pid file, locked as long as the instance runs: a second instance with the
 * same file is refused.
 */
#ifndef BALLAST_MASTER_PIDFILE_H
#define BALLAST_MASTER_PIDFILE_H

#include "master/state.h"

#define PIDFILE_DEFAULT "/run/ballast/ballast.pid"

/* Writes and locks it. Where the path is the default and nobody asked for it (foreground, no
 * --pid-file), a directory that is missing or forbidden is no error. 0, or -1 with why. */
int pidfile_open(struct master *m, const char *path, char *why, size_t why_cap) MUST_CHECK;
void pidfile_remove(struct master *m);

#endif
