/*
 * shm/reader.h: the table as those see it who only read it for long (the client library): they
 * cannot do what workers do when time passes (a backend comes back, a breaker lets probes through),
 * and an instance without traffic has no worker that does. So they judge by the times in the words.
 */
#ifndef BALLAST_SHM_READER_H
#define BALLAST_SHM_READER_H

#include "shm/entry.h"

/* entry_usable, as it will be when somebody looks. */
bool entry_usable_at(const struct entry *e, uint64_t now_us);
/* When that changes by itself, later than now; 0: it does not. */
uint64_t entry_change_us(const struct entry *e, uint64_t now_us);

/* What whoever sends a request there has to know; all of one backend. */
struct entry_copy {
    uint32_t incarnation;
    struct net_addr addr;
    char name[NAME_MAX_BYTES];
    char endpoint[NET_ADDR_STRLEN];
};
/* False: the row is not a live backend of this pool, or became another one meanwhile. */
bool entry_copy(const struct table *t, uint32_t index, uint32_t pool,
                struct entry_copy *out) MUST_CHECK;

/* How long ago any process of the instance last showed that it lives; UINT64_MAX: none ever did. */
uint64_t table_age_us(const struct table *t, uint64_t now_us);

/* Which table is meant. */
struct table_wish {
    const char *conf_path; /* absolute; NULL: any instance */
    uint32_t pid;          /* of the master; 0: any */
    uid_t owner;           /* believed besides root and the effective user; (uid_t)-1: nobody */
};
/*
 * Maps, read-only, the part of a table that says where backends are: the newest instance that is
 * meant, one that moved within fresh_us before others. Only tables that nobody but root, the
 * effective user or the wish's owner can have made or changed are looked at: /dev/shm is writable
 * by all. 0, or -1 with a sentence in why.
 */
int table_attach_wish(struct table *t, const struct table_wish *wish, uint64_t fresh_us, char *why,
                      size_t why_cap) MUST_CHECK;

#endif
