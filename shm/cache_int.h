/* shm/cache_int.h: what the files of the cache share. */
#ifndef BALLAST_SHM_CACHE_INT_H
#define BALLAST_SHM_CACHE_INT_H

#include "shm/cache.h"

enum cache_word { WORD_FREE, WORD_PART, WORD_BEGUN, WORD_LIVE, WORD_DYING };

/* kind in 4 bits, slot or object in 28, version in 32 */
static inline uint64_t word_make(enum cache_word kind, uint32_t of, uint32_t version)
{
    return (uint64_t)kind << 60 | (uint64_t)of << 32 | version;
}
static inline enum cache_word word_kind(uint64_t w)
{
    return (enum cache_word)(w >> 60);
}
static inline uint32_t word_of(uint64_t w)
{
    return (uint32_t)(w >> 32) & 0x0fffffffu;
}
static inline char *block_at(const struct table *t, uint32_t block)
{
    return t->cache_data + (size_t)block * CACHE_BLOCK_BYTES;
}
static inline atom16 *pin_of(const struct table *t, uint32_t slot, uint32_t entry)
{
    return &t->cache_pins[(size_t)slot * CACHE_BLOCKS_MAX + entry];
}

/* cache.c */
bool cache_pin(struct table *t, uint32_t slot, uint32_t entry, struct cache_ref *out) MUST_CHECK;
/* Takes a live object out, whoever asks; its blocks go now or with the last pin. True: we did. */
bool cache_kill(struct table *t, uint32_t slot, uint32_t entry, uint32_t version);
/* cache_index.c */
void cache_index_put(struct table *t, uint32_t slot, uint32_t entry, uint32_t version);
void cache_index_drop(struct table *t, uint32_t entry);

#endif
