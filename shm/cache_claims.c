/*
 * shm/cache_claims.c: who fetches what. See shm/cache.h. A claim is a word at the one place that
 * its hash names: 40 bits of the hash, slot + 1, serial number. Two keys at one place: the second
 * is fetched without.
 */
#include "shm/cache.h"

#define PASS_S 10u /* how long it is remembered that a response was not to be kept */

static atom64 *place_of(const struct table *t, uint64_t hash)
{
    return &t->cache_marks->claims[hash & (CACHE_CLAIMS - 1)];
}

static uint64_t word_for(uint32_t slot, uint64_t hash, uint32_t serial)
{
    return hash >> 24 << 24 | (uint64_t)(slot + 1) << 16 | (serial & 0xffff);
}

enum cache_claim cache_claim(struct table *t, uint32_t slot, uint64_t hash, uint32_t serial,
                             uint64_t *word)
{
    uint64_t mine = word_for(slot, hash, serial), theirs = 0;
    *word = mine;
    if (atomic_compare_exchange_strong(place_of(t, hash), &theirs, mine))
        return CACHE_CLAIMED;
    *word = theirs;
    return theirs >> 24 == hash >> 24 ? CACHE_HELD : CACHE_UNCLAIMED;
}

bool cache_claim_take(struct table *t, uint32_t slot, uint64_t hash, uint32_t serial,
                      uint64_t *word)
{
    uint64_t theirs = *word;
    *word = word_for(slot, hash, serial);
    return atomic_compare_exchange_strong(place_of(t, hash), &theirs, *word);
}

bool cache_claim_stands(const struct table *t, uint64_t hash, uint64_t word)
{
    return atomic_load(place_of(t, hash)) == word;
}

void cache_claim_release(struct table *t, uint64_t hash, uint64_t word)
{
    atomic_compare_exchange_strong(place_of(t, hash), &word, 0);
}

void cache_claims_reclaim(struct table *t, uint32_t slot)
{
    for (uint32_t i = 0; i < CACHE_CLAIMS; i++) {
        uint64_t word = atomic_load_explicit(&t->cache_marks->claims[i], memory_order_relaxed);
        if ((word >> 16 & 0xff) == slot + 1)
            atomic_compare_exchange_strong(&t->cache_marks->claims[i], &word, 0);
    }
}

/* 40 bits of the hash and the second until which it holds. */
static atom64 *pass_of(const struct table *t, uint64_t hash)
{
    return &t->cache_marks->passes[hash & (CACHE_CLAIMS - 1)];
}

void cache_pass(struct table *t, uint64_t hash, uint64_t now_us)
{
    uint64_t until = (now_us / 1000000 + PASS_S) & 0xffffff;
    atomic_store_explicit(pass_of(t, hash), hash >> 24 << 24 | until, memory_order_relaxed);
}

bool cache_passes(const struct table *t, uint64_t hash, uint64_t now_us)
{
    uint64_t word = atomic_load_explicit(pass_of(t, hash), memory_order_relaxed);
    uint64_t left = (word - now_us / 1000000) & 0xffffff;
    return word >> 24 == hash >> 24 && word != 0 && left <= PASS_S;
}

void cache_pass_end(struct table *t, uint64_t hash)
{
    uint64_t word = count_get(pass_of(t, hash));
    if (word && word >> 24 == hash >> 24)
        atomic_store_explicit(pass_of(t, hash), 0, memory_order_relaxed);
}
