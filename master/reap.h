/*
 * master/reap.h: the only file that waits for children. A child's death is read from its pidfd,
 * exactly and without SIGCHLD.
 */
#ifndef BALLAST_MASTER_REAP_H
#define BALLAST_MASTER_REAP_H

#include "base/base.h"

struct master;

struct reaped {
    bool clean;     /* exit status 0 */
    char text[128]; /* "exit status 1", "killed by signal 9 (Killed)" */
};

/* 1: dead, and told how; 0: still alive; -1: errno. */
int reap(int pidfd, struct reaped *out) MUST_CHECK;
/* Dead children that not this program started, but the one that was here before it. */
void reap_strays(const struct master *m);

#endif
