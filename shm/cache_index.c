/*
 * shm/cache_index.c: how an object is found, replaced and removed. See shm/cache.h. A bucket is a
 * cache line of words: tag (half of the hash) and object + 1. A word only points: whether the
 * object is there, and is the one, says the object. So words that point nowhere do no harm, and are
 * taken for new ones.
 */
#include <string.h>
#include "shm/cache_int.h"

#define COMPARED 256u /* bytes at a time */

static uint32_t bucket_mask(const struct table *t)
{
    uint32_t blocks = word_get(&t->header->cache_blocks), buckets = 64;
    while (buckets < blocks / 4)
        buckets *= 2;
    return buckets - 1;
}

static atom64 *bucket_of(const struct table *t, uint64_t hash)
{
    return t->cache_index + (size_t)((uint32_t)hash & bucket_mask(t)) * CACHE_WAYS;
}

static uint64_t word_for(uint64_t hash, uint32_t entry)
{
    return (hash >> 32) << 32 | (entry + 1);
}

/* The object that a word names; INDEX_NONE: none. */
static uint32_t named(const struct table *t, uint64_t word)
{
    uint32_t entry = (uint32_t)word - 1;
    return entry < word_get(&t->header->cache_reserved) ? entry : INDEX_NONE;
}

/* ---- comparing ---- */

static bool same_bytes(const struct table *t, struct cache_ref *r, const char *bytes, uint32_t len)
{
    char part[COMPARED];
    while (len) {
        uint32_t n = len < COMPARED ? len : COMPARED;
        if (cache_read(t, r, part, n) != n || memcmp(part, bytes, n) != 0)
            return false;
        bytes += n;
        len -= n;
    }
    return true;
}

static atom32 *epoch_of(const struct table *t, uint64_t address)
{
    return &t->cache_marks->epochs[(uint32_t)address & (CACHE_EPOCHS - 1)];
}

/* Of a pinned object; leaves it at its head. */
static bool is_of(const struct table *t, struct cache_ref *r, const struct cache_key *k)
{
    const struct cache_about *a = cache_about(t, r);
    return a->hash == k->hash && a->key_bytes == k->len && a->vary_bytes == k->vary_len &&
           a->epoch == word_get(epoch_of(t, k->address)) && same_bytes(t, r, k->text, k->len) &&
           same_bytes(t, r, k->vary, k->vary_len);
}

/* Two pinned objects with the same key. */
static bool is_same(const struct table *t, struct cache_ref *a, struct cache_ref *b)
{
    char part[COMPARED];
    const struct cache_about *x = cache_about(t, a), *y = cache_about(t, b);
    uint32_t len = x->key_bytes + x->vary_bytes;
    if (x->hash != y->hash || x->key_bytes != y->key_bytes || x->vary_bytes != y->vary_bytes)
        return false;
    cache_seek(t, a, 0);
    while (len) {
        uint32_t n = len < COMPARED ? len : COMPARED;
        if (cache_read(t, a, part, n) != n || !same_bytes(t, b, part, n))
            return false;
        len -= n;
    }
    return true;
}

/* ---- finding ---- */

bool cache_find(struct table *t, uint32_t slot, const struct cache_key *k, struct cache_ref *out)
{
    atom64 *bucket = bucket_of(t, k->hash);
    for (uint32_t i = 0; i < CACHE_WAYS; i++) {
        uint64_t word = atomic_load(&bucket[i]);
        uint32_t entry = named(t, word);
        if (word >> 32 != k->hash >> 32 || entry == INDEX_NONE || !cache_pin(t, slot, entry, out))
            continue;
        bool found = is_of(t, out, k);
        if (found && cache_pin_body(t, slot, out))
            return true;
        if (found) /* without its body it is nothing */
            cache_kill(t, slot, entry, out->version);
        cache_unpin(t, slot, out);
    }
    return false;
}

/* ---- changing ---- */

/* Does this word point at an object that can be found by it? */
static bool is_good(const struct table *t, uint64_t word)
{
    uint32_t entry = named(t, word);
    if (entry == INDEX_NONE || word_kind(atomic_load(&t->cache_words[entry])) != WORD_LIVE)
        return false;
    uint64_t hash = t->cache_entries[entry].about.hash; /* torn at worst: then it points nowhere */
    return word == word_for(hash, entry);
}

static uint64_t made_us(const struct table *t, uint64_t word)
{
    return t->cache_entries[named(t, word)].about.made_us;
}

/* A way that points nowhere; else the one whose object was not asked for lately, or never, or is
 * oldest. */
static uint32_t choose(const struct table *t, atom64 *bucket)
{
    uint32_t best = 0;
    uint64_t oldest = UINT64_MAX;
    for (uint32_t i = 0; i < CACHE_WAYS; i++) {
        uint64_t word = atomic_load(&bucket[i]);
        if (!is_good(t, word))
            return i;
        const struct cache_entry *e = &t->cache_entries[named(t, word)];
        uint64_t at = made_us(t, word) / 4;
        if (word_get(&e->used))
            at += UINT64_MAX / 2;
        if (word_get(&e->hits))
            at += UINT64_MAX / 4;
        if (at < oldest) {
            oldest = at;
            best = i;
        }
    }
    return best;
}

static void kill_word(struct table *t, uint32_t slot, uint64_t word)
{
    struct cache_ref r;
    uint32_t entry = named(t, word);
    if (entry == INDEX_NONE || !cache_pin(t, slot, entry, &r))
        return;
    if (is_good(t, word) && cache_kill(t, slot, entry, r.version))
        count_add(&cache_cell(t, slot)->evicted, 1);
    cache_unpin(t, slot, &r);
}

/* Of two with one key the later stays; both workers that kept one at a time see it so. */
static bool is_older(const struct table *t, const struct cache_ref *a, const struct cache_ref *b)
{
    uint64_t x = cache_about(t, a)->made_us, y = cache_about(t, b)->made_us;
    return x != y ? x < y : a->entry < b->entry;
}

static void kill_older(struct table *t, uint32_t slot, struct cache_ref *mine, uint64_t word)
{
    struct cache_ref other;
    uint32_t entry = named(t, word);
    if (entry == INDEX_NONE || entry == mine->entry ||
        word >> 32 != cache_about(t, mine)->hash >> 32 || !cache_pin(t, slot, entry, &other))
        return;
    if (is_same(t, mine, &other)) {
        if (is_older(t, &other, mine))
            cache_kill(t, slot, entry, other.version);
        else
            cache_kill(t, slot, mine->entry, mine->version);
    }
    cache_unpin(t, slot, &other);
}

void cache_index_put(struct table *t, uint32_t slot, uint32_t entry, uint32_t version)
{
    struct cache_ref mine;
    if (!cache_pin(t, slot, entry, &mine))
        return;
    uint64_t hash = cache_about(t, &mine)->hash;
    atom64 *bucket = bucket_of(t, hash);
    uint32_t way = choose(t, bucket);
    uint64_t before = atomic_exchange(&bucket[way], word_for(hash, entry));
    if (mine.version == version)
        for (uint32_t i = 0; i < CACHE_WAYS; i++)
            kill_older(t, slot, &mine, i == way ? before : atomic_load(&bucket[i]));
    kill_word(t, slot, before); /* nobody finds it any more */
    cache_unpin(t, slot, &mine);
}

void cache_index_drop(struct table *t, uint32_t entry)
{
    uint64_t hash = t->cache_entries[entry].about.hash;
    uint64_t word = word_for(hash, entry);
    atom64 *bucket = bucket_of(t, hash);
    for (uint32_t i = 0; i < CACHE_WAYS; i++) {
        uint64_t expected = word;
        atomic_compare_exchange_strong(&bucket[i], &expected, 0);
    }
}

/* ---- removing ---- */

struct cache_guard cache_guard_of(const struct table *t, uint64_t address)
{
    return (struct cache_guard){word_get(&t->header->cache_purges), word_get(epoch_of(t, address))};
}

void cache_invalidate(struct table *t, uint32_t slot, const struct cache_key *k)
{
    struct cache_ref r;
    for (uint32_t i = 0; i < CACHE_WAYS && cache_find(t, slot, k, &r); i++) {
        count_add(&cache_cell(t, slot)->purged, cache_kill(t, slot, r.entry, r.version));
        cache_unpin(t, slot, &r);
    }
    atomic_fetch_add(epoch_of(t, k->address), 1);
}

void cache_drop(struct table *t, uint32_t slot, const struct cache_ref *r)
{
    bool gone =
        cache_kill(t, slot, r->entry, r->version) || cache_held_kill(t, slot, r->entry, r->version);
    count_add(&cache_cell(t, slot)->purged, gone);
}

/* ---- looking on ---- */

/* Its address was invalidated: nobody finds it. */
static bool is_outdated(const struct table *t, const struct cache_about *a)
{
    return a->epoch != word_get(epoch_of(t, a->address));
}

/* With those of what it holds; they may be somebody else's by now, and the figure wrong. */
static uint32_t all_blocks(const struct table *t, const struct cache_ref *r)
{
    struct cache_held held;
    uint32_t blocks = cache_entry_of(t, r)->blocks;
    cache_held_read(t, r->entry, r->version, &held);
    for (uint32_t i = 0; i < held.count; i++)
        if (held.links[i] >> 32)
            blocks += t->cache_entries[(uint32_t)held.links[i]].blocks;
    return blocks;
}

bool cache_look(struct table *t, uint32_t slot, uint32_t block, struct cache_view *out)
{
    struct cache_ref r;
    if (word_kind(atomic_load(&t->cache_words[block])) != WORD_LIVE ||
        !cache_pin(t, slot, block, &r))
        return false;
    if (is_outdated(t, cache_about(t, &r))) { /* nobody else comes by it so soon */
        cache_kill(t, slot, block, r.version);
        cache_unpin(t, slot, &r);
        return false;
    }
    out->about = *cache_about(t, &r);
    out->blocks = all_blocks(t, &r);
    out->hits = word_get(&cache_entry_of(t, &r)->hits);
    out->key_len = out->about.key_bytes;
    uint32_t shown = out->key_len < CACHE_KEY_SHOWN - 1 ? out->key_len : CACHE_KEY_SHOWN - 1;
    out->key[cache_read(t, &r, out->key, shown)] = '\0';
    cache_unpin(t, slot, &r);
    return true;
}

/* Where a key is longer than what is shown of it, that much decides. */
uint32_t cache_purge(struct table *t, uint32_t slot,
                     bool (*wanted)(void *arg, const char *key, uint32_t len), void *arg)
{
    static struct cache_view v;
    uint32_t count = 0, blocks = word_get(&t->header->cache_reserved);
    atomic_fetch_add(&t->header->cache_purges, 1);
    for (uint32_t b = 0; b < blocks; b++) {
        uint64_t word = atomic_load(&t->cache_words[b]);
        if (!cache_look(t, slot, b, &v) || !wanted(arg, v.key, (uint32_t)strlen(v.key)) ||
            !cache_kill(t, slot, b, (uint32_t)word))
            continue;
        count += v.about.kind == CACHE_RESPONSE;
    }
    if (blocks)
        count_add(&cache_cell(t, slot)->purged, count);
    return count;
}

void cache_usage(const struct table *t, struct cache_usage *out)
{
    uint32_t reserved = word_get(&t->header->cache_reserved);
    *out = (struct cache_usage){.blocks = word_get(&t->header->cache_blocks)};
    for (uint32_t b = 0; b < reserved; b++) {
        uint64_t word = atomic_load(&t->cache_words[b]);
        const struct cache_entry *e = &t->cache_entries[b];
        if (word_kind(word) != WORD_LIVE && word_kind(word) != WORD_HELD)
            continue;
        out->blocks_used += e->blocks;
        out->objects += word_kind(word) == WORD_LIVE && e->about.kind == CACHE_RESPONSE &&
                        !is_outdated(t, &e->about);
    }
}

uint64_t cache_cell_sum(const struct table *t, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t slot = 0; slot < SLOT_MAX && word_get(&t->header->cache_reserved); slot++)
        sum +=
            count_get((const atom64 *)(const void *)((const char *)cache_cell(t, slot) + offset));
    return sum;
}
