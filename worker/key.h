/*
 * worker/key.h: what the hash algorithms are asked with: the configured part of the request, hashed
 * with a fixed key, so that several hosts and restarts agree where a client belongs. A request that
 * lacks the part (no such header or cookie), and a TCP connection, goes by the client's address:
 * the peer's, or the one that a trusted proxy names in X-Forwarded-For.
 */
#ifndef BALLAST_WORKER_KEY_H
#define BALLAST_WORKER_KEY_H

#include "base/key.h"
#include "worker/types.h"

/* Fills t->lb.key when the pool's algorithm wants one; t->pool is set. head NULL: a TCP connection.
 * base: where the head's spans lie. */
void key_fill(struct txn *t, const struct http1_head *head, const char *base);

/* The hash of a part named as hash_key does. */
uint64_t key_hash(const struct txn *t, const char *what, const struct http1_head *head,
                  const char *base);

#endif
