/* shm/cache.c: blocks, objects being written, pins. See shm/cache.h. */
#include "shm/cache_int.h"

#include <errno.h>
#include <string.h>
#include "shm/table_int.h"

#define STEPS_MAX 2048u /* of the hand, for one block */

static uint32_t blocks_reserved(const struct table *t)
{
    return word_get(&t->header->cache_reserved);
}

static uint64_t load(const struct table *t, uint32_t block)
{
    return atomic_load(&t->cache_words[block]);
}

static bool swap(struct table *t, uint32_t block, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong(&t->cache_words[block], &from, to);
}

static uint32_t next_of(const struct table *t, uint32_t block)
{
    uint32_t next = word_get(&t->cache_next[block]);
    return next < blocks_reserved(t) ? next : INDEX_NONE;
}

/* ---- room ---- */

int cache_prepare(struct table *t, uint64_t bytes)
{
    uint64_t wanted = bytes / CACHE_BLOCK_BYTES;
    uint32_t blocks = wanted < CACHE_BLOCKS_MAX ? (uint32_t)wanted : CACHE_BLOCKS_MAX;
    uint32_t buckets = 64;
    blocks -= blocks % 64;
    while (buckets < blocks / 4)
        buckets *= 2;
    if (blocks == 0) {
        errno = EINVAL;
        return -1;
    }
    if (table_reserve_cache(t, blocks, buckets) == -1)
        return -1;
    word_set(&t->header->cache_blocks, blocks);
    return 0;
}

/* ---- pins ---- */

static bool is_pinned(const struct table *t, uint32_t entry)
{
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++)
        if (entry < word_get(&t->header->cache_pins_reserved[slot]) &&
            atomic_load(pin_of(t, slot, entry)) != 0)
            return true;
    return false;
}

/* The pin comes first, then the look whether it is still there; who takes it apart says so first,
 * then looks for pins: one of the two sees the other. */
bool cache_pin_as(struct table *t, uint32_t slot, uint32_t entry, enum cache_word kind,
                  struct cache_ref *out)
{
    atom16 *pin = pin_of(t, slot, entry);
    uint16_t count = atomic_load_explicit(pin, memory_order_relaxed);
    if (count == UINT16_MAX)
        return false;
    atomic_store(pin, (uint16_t)(count + 1));
    uint64_t word = load(t, entry);
    *out = (struct cache_ref){.entry = entry, .version = (uint32_t)word, .block = entry};
    if (word_kind(word) == kind)
        return true;
    cache_unpin(t, slot, out);
    return false;
}

bool cache_pin(struct table *t, uint32_t slot, uint32_t entry, struct cache_ref *out)
{
    return cache_pin_as(t, slot, entry, WORD_LIVE, out);
}

/* Ours alone: nobody reads it, nobody finds it. */
static bool take_apart(struct table *t, uint32_t slot, uint32_t entry, uint32_t version)
{
    return !is_pinned(t, entry) &&
           swap(t, entry, word_make(WORD_DYING, 0, version), word_make(WORD_BEGUN, slot, version));
}

/* The parts of an object that is ours. */
static void free_parts(struct table *t, uint32_t from, uint32_t head, uint32_t version)
{
    uint64_t part = word_make(WORD_PART, head, version);
    uint32_t most = blocks_reserved(t);
    for (uint32_t b = from, next; b != INDEX_NONE && most-- > 0; b = next) {
        next = next_of(t, b);
        if (!swap(t, b, part, 0))
            break;
    }
}

static void free_object(struct table *t, uint32_t entry, uint32_t version)
{
    free_parts(t, next_of(t, entry), entry, version);
    atomic_store(&t->cache_words[entry], 0);
}

void cache_free_if_unread(struct table *t, uint32_t slot, uint32_t entry, uint32_t version)
{
    if (take_apart(t, slot, entry, version))
        free_object(t, entry, version);
}

static void unpin(struct table *t, uint32_t slot, uint32_t entry)
{
    atom16 *pin = pin_of(t, slot, entry);
    atomic_store(pin, (uint16_t)(atomic_load_explicit(pin, memory_order_relaxed) - 1));
    uint64_t word = load(t, entry);
    if (word_kind(word) == WORD_DYING)
        cache_free_if_unread(t, slot, entry, (uint32_t)word);
}

void cache_unpin(struct table *t, uint32_t slot, const struct cache_ref *r)
{
    unpin(t, slot, r->entry);
    if (r->held_version)
        unpin(t, slot, r->held);
}

bool cache_kill(struct table *t, uint32_t slot, uint32_t entry, uint32_t version)
{
    struct cache_held held;
    cache_held_read(t, entry, version, &held);
    if (!swap(t, entry, word_make(WORD_LIVE, 0, version), word_make(WORD_DYING, 0, version)))
        return false;
    cache_index_drop(t, entry);
    cache_free_if_unread(t, slot, entry, version);
    cache_held_release(t, slot, &held);
    return true;
}

/* ---- the hand ---- */

/* A part whose object is gone. */
static bool is_left_over(const struct table *t, uint64_t word)
{
    if (word_kind(word) != WORD_PART || word_of(word) >= blocks_reserved(t))
        return word_kind(word) == WORD_PART;
    uint64_t object = load(t, word_of(word));
    return word_kind(object) < WORD_BEGUN || (uint32_t)object != (uint32_t)word;
}

/* Nobody reads it, or wanted it since the hand came by. */
static bool may_go(struct table *t, uint32_t entry)
{
    atom32 *used = &t->cache_entries[entry].used;
    if (!word_get(used))
        return !is_pinned(t, entry);
    word_set(used, 0);
    return false;
}

/* An object makes way, unless it was asked for lately or is being read: then it is ours. */
static bool evict(struct table *t, uint32_t slot, uint32_t entry, uint64_t word)
{
    struct cache_held held = {0};
    uint32_t version = (uint32_t)word;
    if (word_kind(word) != WORD_DYING) {
        cache_held_read(t, entry, version, &held);
        if (!may_go(t, entry) || !swap(t, entry, word, word_make(WORD_DYING, 0, version)))
            return false;
    }
    if (word_kind(word) == WORD_LIVE) {
        cache_index_drop(t, entry);
        count_add(&cache_cell(t, slot)->evicted, 1);
    }
    bool ours = take_apart(t, slot, entry, version);
    cache_held_release(t, slot, &held);
    return ours;
}

/* What the hand found: a single block, or an object that was taken apart. */
struct found {
    uint32_t block;
    uint64_t word; /* as it was; an object: begun, and ours */
    bool object;
};

static bool look_at(struct table *t, uint32_t slot, uint32_t block, struct found *out)
{
    uint64_t word = load(t, block);
    enum cache_word kind = word_kind(word);
    *out = (struct found){.block = block, .word = word};
    if (kind == WORD_FREE || is_left_over(t, word))
        return true;
    if (kind < WORD_LIVE || !evict(t, slot, block, word))
        return false;
    out->object = true;
    out->word = word_make(WORD_BEGUN, slot, (uint32_t)word);
    return true;
}

/* Something to be swapped to a word of ours; false: nothing within so many steps. */
static bool search(struct table *t, uint32_t slot, uint32_t *steps, struct found *out)
{
    uint32_t blocks = word_get(&t->header->cache_blocks);
    while (blocks && (*steps)++ < STEPS_MAX) {
        uint64_t at = atomic_fetch_add_explicit(&t->header->cache_hand, 1, memory_order_relaxed);
        if (look_at(t, slot, (uint32_t)(at % blocks), out))
            return true;
    }
    return false;
}

/* ---- writing ---- */

bool cache_fill_begin(struct table *t, uint32_t slot, struct cache_fill *f)
{
    struct found found;
    uint32_t version = atomic_fetch_add(&t->header->cache_version, 1) + 1;
    for (uint32_t steps = 0; search(t, slot, &steps, &found);) {
        if (found.object)
            free_parts(t, next_of(t, found.block), found.block, (uint32_t)found.word);
        if (!swap(t, found.block, found.word, word_make(WORD_BEGUN, slot, version)))
            continue;
        word_set(&t->cache_next[found.block], INDEX_NONE);
        *f = (struct cache_fill){found.block, version, found.block, CACHE_BLOCK_BYTES, 1, 0};
        return true;
    }
    return false;
}

/* The blocks of an object that is ours become parts of the one being written: its first block
 * last, so that all of it goes with this process until then. */
static void inherit(struct table *t, struct cache_fill *f, uint32_t entry, uint32_t version)
{
    uint64_t from = word_make(WORD_PART, entry, version);
    uint64_t to = word_make(WORD_PART, f->head, f->version);
    uint32_t last = entry;
    f->spare++;
    for (uint32_t b = next_of(t, entry); b != INDEX_NONE && swap(t, b, from, to);
         b = next_of(t, b)) {
        last = b;
        f->spare++;
    }
    word_set(&t->cache_next[last], INDEX_NONE);
    atomic_store(&t->cache_words[entry], to);
    word_set(&t->cache_next[f->last], entry);
}

/* A block behind the last one. */
static bool grow(struct table *t, uint32_t slot, struct cache_fill *f)
{
    struct found found;
    for (uint32_t steps = 0; search(t, slot, &steps, &found);) {
        if (found.object) {
            inherit(t, f, found.block, (uint32_t)found.word);
            return true;
        }
        if (!swap(t, found.block, found.word, word_make(WORD_PART, f->head, f->version)))
            continue;
        word_set(&t->cache_next[found.block], INDEX_NONE);
        word_set(&t->cache_next[f->last], found.block);
        f->spare++;
        return true;
    }
    return false;
}

static bool next_block(struct table *t, uint32_t slot, struct cache_fill *f)
{
    if (f->spare == 0 && !grow(t, slot, f))
        return false;
    f->last = next_of(t, f->last);
    f->spare--;
    f->blocks++;
    f->room = CACHE_BLOCK_BYTES;
    return true;
}

bool cache_fill_write(struct table *t, uint32_t slot, struct cache_fill *f, const char *bytes,
                      size_t len)
{
    while (len) {
        if (f->room == 0 && !next_block(t, slot, f))
            return false;
        size_t n = len < f->room ? len : f->room;
        memcpy(block_at(t, f->last) + CACHE_BLOCK_BYTES - f->room, bytes, n);
        f->room -= (uint32_t)n;
        bytes += n;
        len -= n;
    }
    return true;
}

void cache_fill_abort(struct table *t, struct cache_fill *f)
{
    free_object(t, f->head, f->version);
}

void cache_fill_close(struct table *t, struct cache_fill *f, const struct cache_about *about)
{
    struct cache_entry *e = &t->cache_entries[f->head];
    uint32_t spare = next_of(t, f->last);
    word_set(&t->cache_next[f->last], INDEX_NONE);
    free_parts(t, spare, f->head, f->version);
    e->about = *about;
    e->blocks = f->blocks;
    word_set(&e->used, 0); /* what nobody asks for a second time goes first */
    word_set(&e->hits, 0);
    word_set(&e->owner, 0);
    for (uint32_t i = 0; i < CACHE_CODINGS; i++)
        atomic_store_explicit(&e->coded[i], 0, memory_order_relaxed);
}

void cache_fill_publish(struct table *t, uint32_t slot, struct cache_fill *f,
                        const struct cache_about *about)
{
    cache_fill_close(t, f, about);
    count_add(&cache_cell(t, slot)->stored, about->kind == CACHE_RESPONSE);
    atomic_store(&t->cache_words[f->head], word_make(WORD_LIVE, 0, f->version));
    cache_index_put(t, slot, f->head, f->version);
}

void cache_fill_retract(struct table *t, uint32_t slot, const struct cache_fill *f)
{
    count_add(&cache_cell(t, slot)->purged, cache_kill(t, slot, f->head, f->version));
}

/* ---- reading ---- */

const char *cache_run(const struct table *t, struct cache_ref *r, uint64_t most, uint32_t *len)
{
    if (r->at == CACHE_BLOCK_BYTES) {
        r->block = r->block == INDEX_NONE ? INDEX_NONE : next_of(t, r->block);
        r->at = 0;
    }
    if (r->block == INDEX_NONE)
        return NULL;
    const char *run = block_at(t, r->block) + r->at;
    *len = CACHE_BLOCK_BYTES - r->at;
    if (*len > most)
        *len = (uint32_t)most;
    r->at += *len;
    return run;
}

uint32_t cache_read(const struct table *t, struct cache_ref *r, char *to, uint32_t len)
{
    uint32_t done = 0, n = 0;
    while (done < len) {
        const char *run = cache_run(t, r, len - done, &n);
        if (!run)
            break;
        memcpy(to + done, run, n);
        done += n;
    }
    return done;
}

static void seek_from(const struct table *t, struct cache_ref *r, uint32_t block, uint64_t at)
{
    r->block = block;
    for (; at >= CACHE_BLOCK_BYTES && r->block != INDEX_NONE; at -= CACHE_BLOCK_BYTES)
        r->block = next_of(t, r->block);
    r->at = (uint32_t)at;
}

void cache_seek(const struct table *t, struct cache_ref *r, uint64_t at)
{
    seek_from(t, r, r->entry, at);
}

void cache_seek_body(const struct table *t, struct cache_ref *r, uint64_t at)
{
    uint32_t entry = r->held_version ? r->held : r->entry;
    const struct cache_about *a = &t->cache_entries[entry].about;
    seek_from(t, r, entry, (uint64_t)a->key_bytes + a->vary_bytes + a->head_bytes + at);
}

void cache_touch(const struct table *t, const struct cache_ref *r)
{
    struct cache_entry *e = cache_entry_of(t, r);
    if (!word_get(&e->used))
        word_set(&e->used, 1);
    word_set(&e->hits, word_get(&e->hits) + 1); /* two at once may count as one */
    if (r->held_version)
        word_set(&t->cache_entries[r->held].used, 1);
}

/* ---- a process died ---- */

static void reclaim_begun(struct table *t, uint32_t slot, uint32_t blocks)
{
    for (uint32_t b = 0; b < blocks; b++) {
        uint64_t word = load(t, b);
        if (word_kind(word) == WORD_BEGUN && word_of(word) == slot)
            free_object(t, b, (uint32_t)word);
    }
}

void cache_reclaim(struct table *t, uint32_t slot)
{
    uint32_t blocks = blocks_reserved(t), pins = word_get(&t->header->cache_pins_reserved[slot]);
    if (blocks == 0)
        return;
    for (uint32_t i = 0; i < pins; i++)
        if (atomic_load_explicit(pin_of(t, slot, i), memory_order_relaxed) != 0)
            atomic_store(pin_of(t, slot, i), 0);
    reclaim_begun(t, slot, blocks);
    cache_claims_reclaim(t, slot);
}
