/*
 * client/born.h: a word that says "here" until fork() and "child" in the new process: how a client
 * notices, without a system call and without handlers that stay behind, that it is in another
 * process now. Linux 4.14 (MADV_WIPEONFORK).
 */
#ifndef BALLAST_CLIENT_BORN_H
#define BALLAST_CLIENT_BORN_H

#include "shm/count.h"

enum born { BORN_CHILD, BORN_HERE, BORN_CLAIMED }; /* a wiped page is 0 */

/* NULL with errno. */
atom32 *born_new(void);
void born_free(atom32 *word);
/* In a child, once: true for the thread that is to make everything the child's own and then say
 * born_done; the others wait for it. */
bool born_claim(atom32 *word);
void born_done(atom32 *word);
static inline bool born_is_child(const atom32 *word)
{
    return word_get(word) != BORN_HERE;
}

#endif
