/*
 * master/upgrade.h: another program takes this process's place: same pid, same listening sockets,
 * same table. TEST (the new program checks the current file, as a child) -> RELOAD (to make sure
 * that the file can be served) -> REHEARSAL (it starts beside us until it could serve; rehearsal.h)
 * -> EXEC (with everything worth keeping named in a memfd) -> TAKEOVER (master/takeover.h, in the
 * new program) -> its workers are ready -> the old ones hand over and drain. Until then the old
 * workers serve as if nothing had happened. A new program that cannot get ready, or crashes
 * (guard.h), executes the old one again, which takes over in the same way.
 */
#ifndef BALLAST_MASTER_UPGRADE_H
#define BALLAST_MASTER_UPGRADE_H

#include "master/state.h"

#define UPGRADE_ENV "BALLAST_UPGRADE" /* number of the descriptor of the letter */

void upgrade_request(struct master *m);
void upgrade_reloaded(struct master *m, bool adopted); /* a reload is over */
void upgrade_cancel(struct master *m);                 /* the instance stops */

/* The letter, upgrade_text.c: descriptors, processes and all that the table may not bring along. */
/* malloc'd; NULL without memory. rehearsal: only what the new program can have beside us. */
char *upgrade_format(struct master *m, bool rehearsal) MUST_CHECK;
int upgrade_write_letter(const char *text) MUST_CHECK; /* a memfd that stays open over exec; -1 */

#endif
