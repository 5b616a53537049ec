/*
 * base/hash.h: SipHash-1-3 (Aumasson & Bernstein 2012, reduced rounds) for everything a client can
 * choose, and a 64-bit mixer for trusted integers. Pure; used by tables, ring, maglev and the
 * client library.
 */
#ifndef BALLAST_BASE_HASH_H
#define BALLAST_BASE_HASH_H

#include "base/base.h"

struct hash_key {
    uint64_t k0, k1;
};
uint64_t hash_bytes(struct hash_key key, const void *data, size_t len_bytes);
/* A bijection: murmur3's finaliser. */
static inline uint64_t hash_mix64(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}
/* The same under a key, for a word that a client can choose (an address): two words never meet. */
static inline uint64_t hash_word(struct hash_key key, uint64_t x)
{
    return hash_mix64(hash_mix64(x ^ key.k0) ^ key.k1);
}
/* Fills the key from getrandom(2). */
struct hash_key hash_key_random(void);

#endif
