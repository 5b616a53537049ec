/*
 * worker/key.h: what the hash algorithms are asked with: the configured part of the request, hashed
 * with a fixed key, so that several hosts and restarts agree where a client belongs. A request that
 * lacks the part (no such header or cookie), and a TCP connection, goes by the client's address.
 */
#ifndef BALLAST_WORKER_KEY_H
#define BALLAST_WORKER_KEY_H

#include "worker/types.h"

struct key_part {
    const char *at;
    size_t len; /* 0: there is none */
};
/* What "uri", "path", "host", "header:NAME" or "cookie:NAME" says of a request. base: where the
 * head's spans lie. */
struct key_part key_part_find(const struct http1_head *head, const char *base, const char *what);
/* The value of a cookie; at NULL: there is none. */
struct key_part key_cookie(const struct http1_head *head, const char *base, const char *name);
/* The same for a host name in any case. */
uint64_t key_hash_host(struct hash_key key, struct key_part host);

/* Fills t->lb.key when the pool's algorithm wants one; t->pool is set. head NULL: a TCP connection.
 * base: where the head's spans lie. */
void key_fill(struct txn *t, const struct http1_head *head, const char *base);

/* The hash of a part named as hash_key does. */
uint64_t key_hash(const struct txn *t, const char *what, const struct http1_head *head,
                  const char *base);

#endif
