/*
 * worker/forwarded.h: the Forwarded field of requests (RFC 7239), as the listener's `forwarded`
 * says: whose passes, and ours. Programs that know it believe it before X-Forwarded-For.
 */
#ifndef BALLAST_WORKER_FORWARDED_H
#define BALLAST_WORKER_FORWARDED_H

#include "worker/types.h"

/* Is what the client sent left out? */
bool forwarded_drops(const struct txn *t);
/* How much room ours may take, but for what the client sent; 0: there is none. */
uint32_t forwarded_bytes(const struct txn *t, const struct http1_head *h);
/* Appends the field: what a trusted proxy said, and what we see. */
void forwarded_append(const struct txn *t, struct buf *out, const struct http1_head *h,
                      const char *base);

#endif
