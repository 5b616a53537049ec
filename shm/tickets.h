/*
 * shm/tickets.h: the keys of TLS session tickets, in memory that the master and its children share
 * and nobody else can open: a session that one worker began is resumed by any other, before and
 * after a reload. The master makes the ring before its first fork and rotates it; the newest key
 * seals tickets, those before it still open them. The memory is kept out of core dumps.
 */
#ifndef BALLAST_SHM_TICKETS_H
#define BALLAST_SHM_TICKETS_H

#include "base/base.h"

#define TICKET_KEYS 3u /* that open tickets: the newest and two before it */

struct ticket_key {
    uint8_t name[16], cipher[32], mac[32];
};

/* Makes the ring, with a first key. 0, or -1 with errno. */
int tickets_create(void) MUST_CHECK;
/* The memory behind it, to be handed to a successor (tickets_adopt); -1: there is none. */
int tickets_fd(void);
/* Takes the ring of a predecessor; the descriptor stays open. 0, or -1 with errno. */
int tickets_adopt(int fd) MUST_CHECK;
/* A new key seals from now on; the oldest is forgotten. Master only. */
void tickets_rotate(void);
/* Overwrites all keys. Master only. */
void tickets_wipe(void);

/* The key to seal with. False: there is no ring. */
bool tickets_newest(struct ticket_key *out) MUST_CHECK;
/* The key of that name; *newest: it is the one that seals. */
bool tickets_find(const uint8_t name[16], struct ticket_key *out, bool *newest) MUST_CHECK;

#endif
