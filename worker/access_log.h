/*
 * worker/access_log.h: what is remembered of a request for its line in the access log, from its
 * head (which is gone when the request ends) to its end. A listener without a log costs a branch.
 */
#ifndef BALLAST_WORKER_ACCESS_LOG_H
#define BALLAST_WORKER_ACCESS_LOG_H

#include "worker/access_format.h"
#include "worker/types.h"

struct access_note {
    uint32_t entry, incarnation; /* the backend that was asked last */
    uint64_t backend_us;         /* from request to response head; UINT64_MAX: none came */
    bool head;                   /* there was one that could be parsed */
    struct access_parts parts;   /* then it is in here */
};

/* A request or tunnel begins, its listener known. */
void access_begin(struct txn *t);
/* Its head is there. */
void access_note_head(struct txn *t, const struct http1_head *h, const char *base);
/* With the name it gave, and a password that was right or not. */
void access_note_user(struct txn *t, const char *name, uint32_t len);
/* It was given to a backend; the backend answered. */
void access_note_sent(struct txn *t);
void access_note_response(struct txn *t, uint64_t took_us);
/* It ended: the line is written. */
void access_end(struct txn *t);
/* Another worker will write it. */
void access_drop(struct txn *t);

#endif
