/*
 * master/upgrade.h: another program takes this process's place: same pid, same listening sockets,
 * same table. TEST (the new program checks the current file, as a child) -> EXEC (with everything
 * worth keeping named in a memfd; a reload before it makes sure that the file can be served) ->
 * TAKEOVER (master/takeover.h, in the new program) -> its workers are ready -> the old ones drain.
 * Until then the old workers serve as if nothing had happened. A new program that cannot get ready
 * executes the old one again, which takes over in the same way.
 */
#ifndef BALLAST_MASTER_UPGRADE_H
#define BALLAST_MASTER_UPGRADE_H

#include "master/state.h"

#define UPGRADE_ENV "BALLAST_UPGRADE" /* number of the descriptor of the letter */

void upgrade_request(struct master *m);
void upgrade_reloaded(struct master *m, bool adopted); /* a reload is over */
/* Into another program, by path or /proc/self/fd/N, with a letter for it. Returns only when that
 * failed: errno. */
void upgrade_become(const char *path, const char *letter);
void upgrade_cancel(struct master *m); /* the instance stops */

/* The letter, upgrade_text.c: descriptors, processes and all that the table may not bring along. */
char *upgrade_format(struct master *m) MUST_CHECK; /* malloc'd; NULL without memory */

#endif
