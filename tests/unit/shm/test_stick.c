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
