/* shm/stick.c: see shm/stick.h. */
#include "shm/stick.h"

#include "shm/count.h"

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
        uint32_t entry = ((uint32_t)(word >> 21) & ENTRY_MASK) - 1;
        if ((uint64_t)age_of(word, now_us) * UNIT_US > (uint64_t)ttl_ms * 1000 + UNIT_US)
            return INDEX_NONE;
        if (age_of(word, now_us) != 0) /* whoever else changes it says the same or knows better */
            atomic_compare_exchange_strong(&bucket[i], &word, make(key, entry, now_us));
        return entry;
    }
    return INDEX_NONE;
}

/* The place of this client, an empty one, or the one that was not used for longest. */
static uint32_t choose(const atom64 *bucket, uint64_t key, uint64_t now_us)
{
    uint32_t best = 0, best_age = 0;
    for (uint32_t i = 0; i < STICK_WAYS; i++) {
        uint64_t word = count_get(&bucket[i]);
        if (is_of(word, key))
            return i;
        uint32_t age = word == 0 ? UINT32_MAX : age_of(word, now_us);
        if (age > best_age) {
            best = i;
            best_age = age;
        }
    }
    return best;
}

void stick_put(struct table *t, uint64_t key, uint32_t entry, uint64_t now_us)
{
    atom64 *bucket = bucket_of(t, key);
    atomic_store(&bucket[choose(bucket, key, now_us)], make(key, entry, now_us));
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
