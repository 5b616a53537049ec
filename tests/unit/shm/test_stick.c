/* Clients and their backends: found again, kept while they come, the oldest makes way. */
#include "shm/stick.h"
#include "base/hash.h"
#include "tests/unit/shm/fixture.h"

#define S 1000000ull

static struct table *make(void)
{
    struct table *t = make_table();
    table_lock(t);
    CHECK_EQ(stick_reserve(t), 0);
    CHECK_EQ(stick_reserve(t), 0);
    table_unlock(t);
    return t;
}

TEST(a_client_is_found_again_and_forgotten_in_time)
{
    struct table *t = make();
    uint64_t key = hash_mix64(7);
    CHECK_EQ(stick_get(t, key, 60000, 100 * S), INDEX_NONE);
    stick_put(t, key, 16383, 100 * S);
    CHECK_EQ(stick_get(t, key, 60000, 150 * S), 16383);
    CHECK_EQ(stick_get(t, key, 60000, 205 * S), 16383); /* it came meanwhile */
    CHECK_EQ(stick_get(t, key, 60000, 300 * S), INDEX_NONE);
    stick_put(t, key, 0, 300 * S);
    CHECK_EQ(stick_get(t, key, 60000, 300 * S), 0);
}

TEST(the_one_not_seen_for_longest_makes_way)
{
    struct table *t = make();
    uint64_t key[STICK_WAYS + 1]; /* all of one bucket */
    for (uint64_t i = 0; i <= STICK_WAYS; i++)
        key[i] = (i + 1) << 40 | 5;
    for (uint32_t i = 0; i < STICK_WAYS; i++)
        stick_put(t, key[i], i, (100 + 10 * i) * S);
    CHECK_EQ(stick_get(t, key[0], 3600000, 300 * S), 0);
    stick_put(t, key[STICK_WAYS], 99, 300 * S);
    CHECK_EQ(stick_get(t, key[0], 3600000, 300 * S), 0);
    CHECK_EQ(stick_get(t, key[1], 3600000, 300 * S), INDEX_NONE);
    CHECK_EQ(stick_get(t, key[2], 3600000, 300 * S), 2);
    CHECK_EQ(stick_get(t, key[STICK_WAYS], 3600000, 300 * S), 99);
}

/* Clients of one pool that come once, far more than there is room for. */
static void flood(struct table *t, uint32_t entry, uint64_t from)
{
    for (uint64_t i = 0; i < 4ull * STICK_BUCKETS * STICK_WAYS; i++)
        stick_put(t, hash_mix64(from + i), entry, 200 * S);
}

static uint32_t still_known(struct table *t, uint32_t entry, uint32_t clients)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < clients; i++)
        found += stick_get(t, hash_mix64(i + 1), 3600000, 200 * S) == entry;
    return found;
}

TEST(a_flood_does_not_push_out_the_clients_of_others)
{
    struct table *t = make();
    uint32_t a = make_entry(t, make_pool(t, "a"), "b1", 0);
    uint32_t b = make_entry(t, make_pool(t, "b"), "b1", 0);
    uint32_t c = make_entry(t, make_pool(t, "c"), "b1", 0);
    uint32_t clients = STICK_BUCKETS; /* an eighth of the room */
    for (uint32_t i = 0; i < clients; i++)
        stick_put(t, hash_mix64(i + 1), a, 100 * S);
    flood(t, b, 1ull << 32);
    CHECK(still_known(t, a, clients) >
          clients / 1000 * 995); /* all but those of a crowded bucket */
    flood(t, c, 1ull << 33);
    CHECK(still_known(t, a, clients) > clients / 100 * 95);
}

TEST(who_comes_late_has_its_share)
{
    struct table *t = make();
    uint32_t a = make_entry(t, make_pool(t, "a"), "b1", 0);
    uint32_t b = make_entry(t, make_pool(t, "b"), "b1", 0);
    uint64_t key[2 * STICK_WAYS]; /* all of one bucket */
    for (uint64_t i = 0; i < 2 * STICK_WAYS; i++)
        key[i] = (i + 1) << 40 | 5;
    for (uint32_t i = 0; i < STICK_WAYS; i++)
        stick_put(t, key[i], a, (100 + 10 * i) * S);
    for (uint32_t i = STICK_WAYS; i < 2 * STICK_WAYS; i++)
        stick_put(t, key[i], b, (100 + 10 * i) * S);
    for (uint32_t i = 0; i < 2 * STICK_WAYS; i++) { /* half of the bucket each, the latest */
        bool late = i % STICK_WAYS >= STICK_WAYS / 2;
        CHECK_EQ(stick_get(t, key[i], 3600000, 300 * S) != INDEX_NONE, late);
    }
}

TEST(very_many_clients)
{
    struct table *t = make();
    uint32_t found = 0;
    for (uint32_t i = 0; i < 200000; i++)
        stick_put(t, hash_mix64(i + 1), i % 1000, 100 * S);
    for (uint32_t i = 0; i < 200000; i++)
        found += stick_get(t, hash_mix64(i + 1), 60000, 100 * S) == i % 1000;
    CHECK(found > 199000);
}
