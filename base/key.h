/*
 * base/key.h: the part of a request that decides where it goes or what it is counted by, named as
 * hash_key does: "uri", "path", "host", "header:NAME", "cookie:NAME"; "client_ip" is no part of the
 * head. Hashed with a fixed key, so that hosts and restarts agree. Workers, `ballast explain`.
 */
#ifndef BALLAST_BASE_KEY_H
#define BALLAST_BASE_KEY_H

#include "base/hash.h"
#include "base/http1.h"

struct key_part {
    const char *at;
    size_t len; /* 0: there is none */
};
/* base: where the head's spans lie. */
struct key_part key_part_find(const struct http1_head *head, const char *base, const char *what);
/* The value of a cookie; at NULL: there is none. */
struct key_part key_cookie(const struct http1_head *head, const char *base, const char *name);
/* The next one of that name behind this value. */
struct key_part key_cookie_behind(const struct http1_head *head, const char *base, const char *name,
                                  const char *value);
/* What a hash algorithm is asked with for a part: as it is, or as a host name. */
uint64_t key_hash_part(struct key_part part);
uint64_t key_hash_part_host(struct key_part part);
/* The hash of a host name, the same in any case. */
uint64_t key_hash_host(struct hash_key key, struct key_part host);
/* What a hash algorithm is asked with: the part, or the client's address (4 or 16 bytes) when the
 * request has no such part or head is NULL. */
uint64_t key_hash_request(const char *what, const struct http1_head *head, const char *base,
                          const uint8_t *ip, size_t ip_len);

#endif
