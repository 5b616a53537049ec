/*
 * base/hash.c: see base/hash.h. SipHash as in "SipHash: a fast short-input PRF" (Aumasson,
 * Bernstein 2012), with c = 1 compression and d = 3 finalisation rounds.
 */
#include "base/hash.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/log.h"

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotl(s->v1, 13) ^ s->v0;
    s->v3 = rotl(s->v3, 16) ^ s->v2;
    s->v0 = rotl(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotl(s->v1, 17) ^ s->v2;
    s->v3 = rotl(s->v3, 21) ^ s->v0;
    s->v2 = rotl(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t m)
{
    s->v3 ^= m;
    sip_round(s);
    s->v0 ^= m;
}

/* Fewer than eight bytes, little-endian. */
static inline uint64_t last_word(const unsigned char *p, size_t left)
{
    uint64_t m = 0;
    uint32_t four;
    size_t at = 0;
    if (left >= sizeof four) {
        memcpy(&four, p, sizeof four);
        m = le32toh(four);
        at = sizeof four;
    }
    for (; at < left; at++)
        m |= (uint64_t)p[at] << (8 * at);
    return m;
}

uint64_t hash_bytes(struct hash_key key, const void *data, size_t len_bytes)
{
    const unsigned char *p = data;
    struct sip s = {key.k0 ^ 0x736f6d6570736575u, key.k1 ^ 0x646f72616e646f6du,
                    key.k0 ^ 0x6c7967656e657261u, key.k1 ^ 0x7465646279746573u};
    size_t left = len_bytes;
    uint64_t m;
    for (; left >= 8; left -= 8, p += 8) {
        memcpy(&m, p, 8);
        sip_word(&s, le64toh(m));
    }
    sip_word(&s, (uint64_t)len_bytes << 56 | last_word(p, left));
    s.v2 ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

struct hash_key hash_key_random(void)
{
    struct hash_key key;
    ssize_t got;
    do {
        got = getrandom(&key, sizeof key, 0);
    } while (got == -1 && errno == EINTR);
    if (got != (ssize_t)sizeof key) { /* 16 bytes are never cut short */
        log_error("getrandom: %s", strerror(errno));
        abort();
    }
    return key;
}
