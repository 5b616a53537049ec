/* shm/cache_int.h: what the files of the cache share. */
#ifndef BALLAST_SHM_CACHE_INT_H
#define BALLAST_SHM_CACHE_INT_H

#include "shm/cache.h"

enum cache_word { WORD_FREE, WORD_PART, WORD_BEGUN, WORD_LIVE, WORD_DYING, WORD_HELD };

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
bool cache_pin_as(struct table *t, uint32_t slot, uint32_t entry, enum cache_word kind,
                  struct cache_ref *out) MUST_CHECK;
void cache_free_if_unread(struct table *t, uint32_t slot, uint32_t entry, uint32_t version);
/* What is known of it, its blocks trimmed: all but its word. */
void cache_fill_close(struct table *t, struct cache_fill *f, const struct cache_about *about);
/* Takes a live object out, whoever asks; its blocks go now or with the last pin. True: we did. */
bool cache_kill(struct table *t, uint32_t slot, uint32_t entry, uint32_t version);
/* cache_held.c */
struct cache_held { /* version << 32 | first block */
    uint64_t links[2 * CACHE_CODINGS + 2];
    uint32_t count;
};
void cache_held_read(const struct table *t, uint32_t entry, uint32_t version,
                     struct cache_held *out);
void cache_held_release(struct table *t, uint32_t slot, const struct cache_held *held);
/* Takes out one that is held, with what it holds. True: it was. */
bool cache_held_kill(struct table *t, uint32_t slot, uint32_t entry, uint32_t version);
void cache_unpin_held(struct table *t, uint32_t slot, struct cache_ref *r);
/* Of a pinned one, the object with its body too. False: that is gone. */
bool cache_pin_body(struct table *t, uint32_t slot, struct cache_ref *r) MUST_CHECK;
/* cache_index.c */
void cache_index_put(struct table *t, uint32_t slot, uint32_t entry, uint32_t version);
void cache_index_drop(struct table *t, uint32_t entry);

#endif
