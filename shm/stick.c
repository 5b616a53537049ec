/* shm/stick.c: see shm/stick.h. */
#include "shm/stick.h"

#include "shm/count.h"
#include "shm/entry.h"

/* The word: 28 bits of the key, entry + 1 in 15, when it was used last in 21 (units of 8 s, which
 * come round after half a year). 0: nobody. */
#define UNIT_US    8000000u
#define TIME_MASK  ((1u << 21) - 1)
#define ENTRY_MASK ((1u << 15) - 1)

static uint32_t unit_of(uint64_t us)
{
    return (uint32_t)(us / UNIT_US) & TIME_MASK;
}

static uint64_t make(uint64_t key, uint32_t entry, uint64_t now_us)
{
    return (key >> 36 << 36) | (uint64_t)(entry + 1) << 21 | unit_of(now_us);
}

static bool is_of(uint64_t word, uint64_t key)
{
    return word != 0 && word >> 36 == key >> 36;
}

static uint32_t entry_of(uint64_t word)
{
    return ((uint32_t)(word >> 21) & ENTRY_MASK) - 1;
}

static uint32_t age_of(uint64_t word, uint64_t now_us)
{
    return (unit_of(now_us) - (uint32_t)word) & TIME_MASK;
}

static atom64 *bucket_of(const struct table *t, uint64_t key)
{
    return t->sticks + (key & (STICK_BUCKETS - 1)) * STICK_WAYS;
}

uint32_t stick_get(struct table *t, uint64_t key, uint32_t ttl_ms, uint64_t now_us)
{
    atom64 *bucket = bucket_of(t, key);
    for (uint32_t i = 0; i < STICK_WAYS; i++) {
        uint64_t word = count_get(&bucket[i]);
        if (!is_of(word, key))
            continue;
        uint32_t entry = entry_of(word);
        if ((uint64_t)age_of(word, now_us) * UNIT_US > (uint64_t)ttl_ms * 1000 + UNIT_US)
            return INDEX_NONE;
        if (age_of(word, now_us) != 0) /* whoever else changes it says the same or knows better */
            atomic_compare_exchange_strong(&bucket[i], &word, make(key, entry, now_us));
        return entry;
    }
    return INDEX_NONE;
}

/* The pool that a client of this entry is of. */
static uint32_t pool_of(const struct table *t, uint32_t entry)
{
    if (entry >= word_get(&t->header->entries_high))
        return INDEX_NONE;
    return word_get(&entry_at(t, entry)->pool);
}

static uint32_t places_of(const uint32_t pools[STICK_WAYS], uint32_t pool)
{
    uint32_t places = 0;
    for (uint32_t i = 0; i < STICK_WAYS; i++)
        places += pools[i] == pool;
    return places;
}

/* Of the pool that has most places, this client among its own; there the one that was not used for
 * longest. */
static uint32_t choose_victim(const struct table *t, const uint64_t words[STICK_WAYS],
                              uint32_t entry, uint64_t now_us)
{
    uint32_t pools[STICK_WAYS], best = 0, best_places = 0, best_age = 0;
    uint32_t own = pool_of(t, entry);
    for (uint32_t i = 0; i < STICK_WAYS; i++)
        pools[i] = pool_of(t, entry_of(words[i]));
    for (uint32_t i = 0; i < STICK_WAYS; i++) {
        uint32_t places = places_of(pools, pools[i]) + (pools[i] == own);
        uint32_t age = age_of(words[i], now_us);
        if (places > best_places || (places == best_places && age > best_age)) {
            best = i;
            best_places = places;
            best_age = age;
        }
    }
    return best;
}

/* The place of this client, an empty one, or that of another client. */
static uint32_t choose(const struct table *t, const atom64 *bucket, uint64_t key, uint32_t entry,
                       uint64_t now_us)
{
    uint64_t words[STICK_WAYS];
    uint32_t empty = STICK_WAYS;
    for (uint32_t i = 0; i < STICK_WAYS; i++) {
        words[i] = count_get(&bucket[i]);
        if (is_of(words[i], key))
            return i;
        if (words[i] == 0)
            empty = i;
    }
    return empty < STICK_WAYS ? empty : choose_victim(t, words, entry, now_us);
}

void stick_put(struct table *t, uint64_t key, uint32_t entry, uint64_t now_us)
{
    atom64 *bucket = bucket_of(t, key);
    atomic_store(&bucket[choose(t, bucket, key, entry, now_us)], make(key, entry, now_us));
}

void stick_drop(struct table *t, uint64_t key)
{
    atom64 *bucket = bucket_of(t, key);
    for (uint32_t i = 0; i < STICK_WAYS; i++) {
        uint64_t word = count_get(&bucket[i]);
        if (is_of(word, key))
            atomic_compare_exchange_strong(&bucket[i], &word, 0);
    }
}
