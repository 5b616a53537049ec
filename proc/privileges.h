/*
 * proc/privileges.h: what a child gives up before it meets a client: the root user and its groups,
 * every capability, the way to get them back. The master keeps its privileges: it binds ports,
 * opens logs, reads keys.
 */
#ifndef BALLAST_PROC_PRIVILEGES_H
#define BALLAST_PROC_PRIVILEGES_H

#include "base/base.h"

/* Master: can children run as this user? Always 0 when it is "" or the process is not root. -1 with
 * why. */
int privileges_check(const char *user, char *why, size_t why_cap) MUST_CHECK;
/* Child: becomes user (no-op as above), drops the capability bounding set, sets no-new-privileges.
 * Secrets (keys, passwords, what clients send) are in its memory: there is no core file of it,
 * unless keep_dumpable (--debug) allows one. -1 with why. */
int privileges_drop(const char *user, bool keep_dumpable, char *why, size_t why_cap) MUST_CHECK;

#endif
