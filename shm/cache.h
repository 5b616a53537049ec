/*
 * shm/cache.h: responses kept for all workers, in blocks of 4 KiB of the table. No lock; any
 * process may be killed at any instruction.
 *
 * A block's word (one atomic word) says whose it is, and nothing else does:
 *
 *   free              anybody's who swaps it
 *   begun, slot       the first block of an object that the process of that slot is writing or
 *                     taking apart; the master frees it when that process dies
 *   live              the first block of an object that can be found
 *   held              ... that is found through another object only (shm/cache_held.c)
 *   dying             ... that cannot be found any more and goes when nobody reads it
 *   part, object, version   a further block; its object's first block is there with this version,
 *                     or it is as good as free: so nothing leaks, whoever dies when
 *
 * An object is a chain of blocks with its key, the values that chose it among variants, the head of
 * the response and the body, in this order. It is written by one process, and can be found (index,
 * then its own key) once it is complete. Readers pin what they read: a lane of counts per slot, as
 * for requests in flight, which the master clears when its process dies. An object that is
 * invalidated is taken out at once, and its blocks go when the last pin does.
 *
 * Room is found by a hand that goes round over all blocks (the CLOCK algorithm, Corbato 1968): what
 * was asked for since it came by last gets another round. It looks at a bounded number of blocks
 * per block wanted; a response that finds no room is not kept.
 *
 * Keys are hashed with SipHash under the instance's key, and compared in full.
 */
#ifndef BALLAST_SHM_CACHE_H
#define BALLAST_SHM_CACHE_H

#include "shm/count.h"

/* Master: gives the cache its room; it may grow, and is used only up to that when it shrinks. Lock
 * held. 0, or -1 with errno. */
int cache_prepare(struct table *t, uint64_t bytes) MUST_CHECK;
/* The process of this slot is dead. */
void cache_reclaim(struct table *t, uint32_t slot);

static inline bool cache_is_there(const struct table *t)
{
    return word_get(&t->header->cache_blocks) != 0;
}

/* ---- reading ---- */

/* A pinned object and a place in it. */
struct cache_ref {
    uint32_t entry, version;
    uint32_t block, at;          /* where reading goes on */
    uint32_t held, held_version; /* pinned with it: what has its body; version 0: nothing */
};

/* The key that is asked for. address: a hash of that part of it by which requests that change
 * something invalidate all that there is. */
struct cache_key {
    uint64_t hash, address;
    const char *text, *vary; /* vary: what the request says in the fields that matter */
    uint32_t len, vary_len;
};

/* Pins it and stands at its head. False: not there. */
bool cache_find(struct table *t, uint32_t slot, const struct cache_key *k,
                struct cache_ref *out) MUST_CHECK;
void cache_unpin(struct table *t, uint32_t slot, const struct cache_ref *r);
/* Copies the next len bytes; fewer: that was all there is. */
uint32_t cache_read(const struct table *t, struct cache_ref *r, char *to, uint32_t len);
/* The next bytes where they lie, at most so many, as far as they lie together: nothing is copied.
 * NULL: there is no more. */
const char *cache_run(const struct table *t, struct cache_ref *r, uint64_t most, uint32_t *len);
/* Stands at this byte, counted from the beginning of the key. */
void cache_seek(const struct table *t, struct cache_ref *r, uint64_t at);
/* Stands at this byte of the body. */
void cache_seek_body(const struct table *t, struct cache_ref *r, uint64_t at);
static inline struct cache_entry *cache_entry_of(const struct table *t, const struct cache_ref *r)
{
    return &t->cache_entries[r->entry];
}
static inline const struct cache_about *cache_about(const struct table *t,
                                                    const struct cache_ref *r)
{
    return &t->cache_entries[r->entry].about;
}
/* Somebody wanted it: it stays longer. */
void cache_touch(const struct table *t, const struct cache_ref *r);

/* ---- writing ---- */

/* An object that is being written by this process. */
struct cache_fill {
    uint32_t head, version;
    uint32_t last, room; /* the block being written, and what is left of it */
    uint32_t blocks, spare;
};

bool cache_fill_begin(struct table *t, uint32_t slot, struct cache_fill *f) MUST_CHECK;
/* False: there is no room; abort it. */
bool cache_fill_write(struct table *t, uint32_t slot, struct cache_fill *f, const char *bytes,
                      size_t len) MUST_CHECK;
void cache_fill_abort(struct table *t, struct cache_fill *f);
/* From now on it is found by about->hash, in place of what was found by the same key before. */
void cache_fill_publish(struct table *t, uint32_t slot, struct cache_fill *f,
                        const struct cache_about *about);
/* Takes back what was just published. */
void cache_fill_retract(struct table *t, uint32_t slot, const struct cache_fill *f);

/* ---- what is found through another: shm/cache_held.c ---- */

/* The body of a pinned object becomes that of the one being written: no byte is copied, and the
 * pinned one is not found any more. Sets what `about` says of it. False: it is gone. */
bool cache_take_body(struct table *t, const struct cache_ref *from, const struct cache_fill *f,
                     struct cache_about *about) MUST_CHECK;
/* The body in this coding, made at this level: r stands at its beginning. False: there is none. */
bool cache_take_coded(struct table *t, uint32_t slot, struct cache_ref *r, uint8_t coding,
                      uint8_t level, uint64_t *bytes) MUST_CHECK;
/* What coded forms of a pinned object are kept with; stays right when it is unpinned. */
uint64_t cache_coded_place(const struct cache_ref *r);
/* What was written is such a form: it goes when the body does. */
void cache_fill_attach(struct table *t, uint32_t slot, struct cache_fill *f,
                       const struct cache_about *about, uint64_t place);

/* ---- removing ---- */

/* What was invalidated while a response came must not be kept: this says whether it was. */
struct cache_guard {
    uint32_t purges, epoch;
};
struct cache_guard cache_guard_of(const struct table *t, uint64_t address);
static inline bool cache_guard_holds(const struct table *t, uint64_t address, struct cache_guard g)
{
    struct cache_guard now = cache_guard_of(t, address);
    return now.purges == g.purges && now.epoch == g.epoch;
}
/* From now on nothing of its address is found; what this key finds goes at once. */
void cache_invalidate(struct table *t, uint32_t slot, const struct cache_key *k);
/* Removes a pinned object; it is there until it is unpinned. */
void cache_drop(struct table *t, uint32_t slot, const struct cache_ref *r);
/* Removes every object for whose key wanted() is true; returns how many. */
uint32_t cache_purge(struct table *t, uint32_t slot,
                     bool (*wanted)(void *arg, const char *key, uint32_t len), void *arg);

/* ---- looking on ---- */

#define CACHE_KEY_SHOWN 2048u
struct cache_view {
    struct cache_about about;
    uint32_t blocks, hits, key_len; /* key_len: as it is; the copy ends earlier where it is long */
    char key[CACHE_KEY_SHOWN];
};
/* The object whose first block this is; false: there is none. */
bool cache_look(struct table *t, uint32_t slot, uint32_t block, struct cache_view *out) MUST_CHECK;
struct cache_usage {
    uint32_t objects, blocks_used, blocks;
};
void cache_usage(const struct table *t, struct cache_usage *out);
static inline struct ccell *cache_cell(const struct table *t, uint32_t slot)
{
    return &t->ccells[slot];
}
uint64_t cache_cell_sum(const struct table *t, size_t offset); /* offsetof(struct ccell, ...) */

/* ---- one fetch for many: shm/cache_claims.c ---- */

enum cache_claim {
    CACHE_CLAIMED,  /* ours: fetch it, and release the claim */
    CACHE_HELD,     /* somebody fetches it */
    CACHE_UNCLAIMED /* the place is taken by another key: fetch it, no claim */
};
/* *word: what the place holds, of ours or theirs. serial: different from that of the last one. */
enum cache_claim cache_claim(struct table *t, uint32_t slot, uint64_t hash, uint32_t serial,
                             uint64_t *word);
/* Ours from now on, if it is still theirs. */
bool cache_claim_take(struct table *t, uint32_t slot, uint64_t hash, uint32_t serial,
                      uint64_t *word) MUST_CHECK;
bool cache_claim_stands(const struct table *t, uint64_t hash, uint64_t word);
void cache_claim_release(struct table *t, uint64_t hash, uint64_t word);
void cache_claims_reclaim(struct table *t, uint32_t slot);
/* A response that was not to be kept: for a while nobody waits for another of this key. */
void cache_pass(struct table *t, uint64_t hash, uint64_t now_us);
bool cache_passes(const struct table *t, uint64_t hash, uint64_t now_us);
void cache_pass_end(struct table *t, uint64_t hash);

#endif
