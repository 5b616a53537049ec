/*
 * shm/hashtable_build.c: what stands in a hash table.
 *
 * Ring: Karger et al., "Consistent Hashing and Random Trees" (1997): 150 points per weight unit,
 * each 48 bits of hash over 16 bits of entry index, sorted. Maglev: Eisenbud et al., "Maglev: A
 * Fast and Reliable Software Network Load Balancer" (2016), section 3.4, with turns in proportion
 * to weight. Its size is prime and one of three, so that a change of membership seldom changes it:
 * then all keys move.
 */
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "shm/entry.h"
#include "shm/hashtable.h"
#include "shm/pool.h"
#include "shm/table_int.h"

#define POINTS_PER_WEIGHT 150u
#define PLACES_PER_WEIGHT 100u

static const uint32_t maglev_sizes[] = {65537, 1048573, 4194301};

struct member {
    uint64_t name; /* hash */
    uint32_t entry, weight;
};

struct members {
    struct member *items;
    uint32_t count, heaviest;
    uint64_t weight; /* sum */
};

static int compare_members(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return x->name < y->name ? -1 : x->name > y->name;
}

/* The key is part of the format: all hosts and all versions place a name alike. */
static uint64_t hash_name(const char *name)
{
    static const struct hash_key key = {0x62616c6c61737421u, 0x636f6e7369737465u};
    return hash_bytes(key, name, strlen(name));
}

static int collect(const struct table *t, uint32_t pool, struct members *out)
{
    uint32_t cap = word_get(&pool_at(t, pool)->count) + 1;
    uint32_t *ids = malloc(cap * sizeof *ids);
    *out = (struct members){.items = malloc(cap * sizeof *out->items)};
    if (!ids || !out->items) {
        free(ids);
        free(out->items);
        return -1;
    }
    uint32_t n = entry_members(t, pool, ids, cap);
    for (uint32_t i = 0; i < n; i++) {
        const struct entry *e = entry_at(t, ids[i]);
        uint32_t weight = entry_weight(e);
        if (weight == 0)
            continue;
        out->items[out->count++] = (struct member){hash_name(e->name), ids[i], weight};
        out->weight += weight;
        out->heaviest = weight > out->heaviest ? weight : out->heaviest;
    }
    free(ids);
    qsort(out->items, out->count, sizeof *out->items, compare_members);
    return 0;
}

/* ---- ring ------------------------------------------------------------------------------------ */

static uint32_t points_of(const struct members *ms, uint32_t i)
{
    uint64_t weight = ms->items[i].weight;
    if (ms->weight * POINTS_PER_WEIGHT <= HASHTABLE_RING_MAX)
        return (uint32_t)weight * POINTS_PER_WEIGHT;
    return (uint32_t)(weight * (HASHTABLE_RING_MAX - ms->count) / ms->weight) + 1;
}

static uint32_t fill_ring(const struct members *ms, uint64_t *points)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < ms->count; i++) {
        uint64_t x = ms->items[i].name;
        for (uint32_t k = points_of(ms, i); k > 0; k--) {
            x += 0x9E3779B97F4A7C15u;
            points[n++] = (hash_mix64(x) & ~(uint64_t)0xffff) | ms->items[i].entry;
        }
    }
    return n;
}

/* Least significant digit first; an even number of passes ends where it began. */
static void radix_sort(uint64_t *points, uint64_t *spare, uint32_t n)
{
    for (unsigned shift = 16; shift < 64; shift += 8) {
        uint32_t starts[256] = {0}, sum = 0;
        for (uint32_t i = 0; i < n; i++)
            starts[points[i] >> shift & 255]++;
        for (unsigned d = 0; d < 256; d++) {
            uint32_t many = starts[d];
            starts[d] = sum;
            sum += many;
        }
        for (uint32_t i = 0; i < n; i++)
            spare[starts[points[i] >> shift & 255]++] = points[i];
        uint64_t *swap = points;
        points = spare;
        spare = swap;
    }
}

static int build_ring(const struct members *ms, void **made, uint32_t *count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < ms->count; i++)
        n += points_of(ms, i);
    uint64_t *points = malloc(n * sizeof *points), *spare = malloc(n * sizeof *spare);
    if (!points || !spare) {
        free(points);
        free(spare);
        return -1;
    }
    *count = fill_ring(ms, points);
    radix_sort(points, spare, n);
    free(spare);
    *made = points;
    return 0;
}

/* ---- maglev ---------------------------------------------------------------------------------- */

struct walker {
    uint32_t at, skip, credit;
};

static void fill_maglev(const struct members *ms, struct walker *w, uint32_t *places, uint32_t size)
{
    for (uint32_t i = 0; i < ms->count; i++) {
        w[i].at = (uint32_t)(hash_mix64(ms->items[i].name) % size);
        w[i].skip = (uint32_t)(hash_mix64(ms->items[i].name + 1) % (size - 1) + 1);
        w[i].credit = 0;
    }
    for (uint32_t i = 0, filled = 0; filled < size; i = i + 1 == ms->count ? 0 : i + 1) {
        w[i].credit += ms->items[i].weight;
        if (w[i].credit < ms->heaviest)
            continue;
        w[i].credit -= ms->heaviest;
        while (places[w[i].at] != INDEX_NONE)
            w[i].at = (w[i].at + w[i].skip) % size;
        places[w[i].at] = ms->items[i].entry;
        filled++;
    }
}

static int build_maglev(const struct members *ms, void **made, uint32_t *count)
{
    unsigned s = 0;
    while (s + 1 < ARRAY_LEN(maglev_sizes) && ms->weight * PLACES_PER_WEIGHT > maglev_sizes[s])
        s++;
    struct walker *w = malloc(ms->count * sizeof *w);
    uint32_t *places = malloc(maglev_sizes[s] * sizeof *places);
    if (!w || !places) {
        free(w);
        free(places);
        return -1;
    }
    memset(places, 0xff, maglev_sizes[s] * sizeof *places);
    fill_maglev(ms, w, places, maglev_sizes[s]);
    free(w);
    *made = places;
    *count = maglev_sizes[s];
    return 0;
}

int hashtable_build(const struct table *t, uint32_t pool, uint32_t kind, void **made,
                    uint32_t *count)
{
    struct members ms;
    int result = 0;
    if (collect(t, pool, &ms) == -1)
        return -1;
    if (ms.count > 0)
        result =
            kind == HASHTABLE_RING ? build_ring(&ms, made, count) : build_maglev(&ms, made, count);
    free(ms.items);
    return result;
}
