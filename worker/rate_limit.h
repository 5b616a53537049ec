/*
 * worker/rate_limit.h: the step that counts a request against the rate limits of its listener,
 * its route and its pool (shm/rate.h). All that apply are asked first, then all are counted: who is
 * refused by one uses up nothing of the others.
 */
#ifndef BALLAST_WORKER_RATE_LIMIT_H
#define BALLAST_WORKER_RATE_LIMIT_H

#include "worker/types.h"

#define RATE_LIMIT_FIELDS_BYTES 160u

/* A step of txn_start.c, behind the route. */
bool step_rate_limit(struct txn *t, const struct http1_head *h, const char *base);
/* The same for a TCP connection. False: it was closed, or waits and then goes on by itself. */
bool rate_limit_tcp(struct txn *t);

/* Should every answer say what is left? */
static inline bool rate_limit_tells(const struct txn *t)
{
    return t->rate.limit != 0;
}
/* The fields of the answer about the limit, each with its CRLF; returns their length. */
size_t rate_limit_fields(const struct txn *t, char out[RATE_LIMIT_FIELDS_BYTES]);

#endif
