/*
 * shm/purse.h: what a client and the broker share: one memfd per lease, made by the broker, sealed
 * in its size, and handed over the lease's socket. In it a word per backend says how many places in
 * flight are granted (the broker adds and takes back) and how many of them are used (the client),
 * and a ring holds what the client reports of its requests.
 *
 * The client may write all of it, and may write nonsense. The broker believes none of it: what is
 * granted stands in the table (shm/grant.h), `used` is at most that, a report counts only for a
 * backend of which the lease has a place, and so many at a time. A client that lies has its own
 * places to lie about.
 *
 * Also the messages of the socket, a SEQPACKET one: one question, one answer; LOOK and BYE have
 * none.
 */
#ifndef BALLAST_SHM_PURSE_H
#define BALLAST_SHM_PURSE_H

#include "shm/count.h"

#define PURSE_MAGIC   0xBA11A570u
#define PURSE_RECORDS 1024u /* power of two */

enum purse_outcome { PURSE_SUCCESS, PURSE_FAILURE, PURSE_ABANDONED };

struct purse_record {
    uint32_t entry, incarnation;
    uint32_t outcome;    /* enum purse_outcome */
    uint32_t ticket;     /* as the answer gave it; 0: none */
    uint64_t latency_us; /* 0: unknown */
};

struct purse {
    uint32_t magic, version;          /* TABLE_VERSION */
    _Alignas(CACHE_LINE) atom64 head; /* client: reports written */
    _Alignas(CACHE_LINE) atom64 tail; /* broker: and read */
    _Alignas(CACHE_LINE) struct purse_record records[PURSE_RECORDS];
    atom64 words[ENTRY_MAX]; /* granted << 32 | used */
};

enum purse_ask {
    PURSE_HELLO = 1,
    PURSE_SETTLED, /* what it uses stands in the purse */
    PURSE_TAKE,
    PURSE_LOOK, /* idle places may be taken back, reports be read */
    PURSE_BYE   /* all may be. A connection that ends without it: its process may come back */
};
struct purse_question {
    uint32_t magic, version;
    uint32_t type; /* enum purse_ask */
    uint32_t seq;
    uint32_t row;                      /* HELLO: the lease of before, or INDEX_NONE */
    uint32_t entry, incarnation, want; /* TAKE */
    uint64_t id;                       /* HELLO: drawn by the client: a process may have several */
};
enum purse_say {
    PURSE_GRANTED,
    PURSE_FULL,      /* that backend */
    PURSE_POOL_FULL, /* all of them, or the lease has all it may have */
    PURSE_REFUSED,   /* the breaker lets nobody through, or the backend is gone */
    PURSE_NO_LEASE   /* all are taken; the connection ends */
};
struct purse_answer {
    uint32_t magic, version;
    uint32_t seq;
    uint32_t result; /* enum purse_say */
    uint32_t row;    /* HELLO: with the purse's descriptor */
    uint32_t granted;
    uint32_t ticket;  /* of a half-open breaker: goes with the report; 0: none */
    uint32_t settled; /* HELLO: it is the purse of before, and says what is used */
};

/* ---- broker ---- */

/* A new purse; *fd is the caller's. NULL with errno. */
struct purse *purse_create(int *fd) MUST_CHECK;
void purse_grant(struct purse *p, uint32_t entry, uint32_t count);
/* Takes those of the `held` places that the client does not use out of the purse: how many. What
 * they were used for has been reported. */
uint32_t purse_take_idle(struct purse *p, uint32_t entry, uint32_t held);
/* Reads reports that nobody has read, at most `cap`. *tail is the caller's own count. */
uint32_t purse_read(struct purse *p, uint64_t *tail, struct purse_record *out, uint32_t cap);

/* ---- client ---- */

/* Maps what the broker sent; fd stays the caller's. NULL: not a purse of this version. */
struct purse *purse_map(int fd) MUST_CHECK;
/* Uses a granted place. False: none is idle. */
bool purse_use(struct purse *p, uint32_t entry) MUST_CHECK;
/* So many are used: of a purse that is new. */
void purse_settle(struct purse *p, uint32_t entry, uint32_t used);
void purse_done(struct purse *p, uint32_t entry);
uint32_t purse_granted(const struct purse *p, uint32_t entry);
/* False: the ring is full. */
bool purse_report(struct purse *p, const struct purse_record *record) MUST_CHECK;
/* Reports that the broker has read: where another one goes on (purse_read). */
uint64_t purse_read_so_far(const struct purse *p);
/* More than half of the ring is unread. */
bool purse_is_filling(const struct purse *p);

void purse_unmap(struct purse *p);

#endif
