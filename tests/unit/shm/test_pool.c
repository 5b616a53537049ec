/* Pools and listeners as rows. */
#include "tests/unit/shm/fixture.h"

static void remove_pool(struct table *t, uint32_t pool)
{
    table_lock(t);
    pool_remove(t, pool);
    table_unlock(t);
}

static uint32_t make_listener(struct table *t, const char *name)
{
    table_lock(t);
    uint32_t index = listener_add(t, name);
    table_unlock(t);
    return index;
}

static void remove_listener(struct table *t, uint32_t index)
{
    table_lock(t);
    listener_remove(t, index);
    table_unlock(t);
}

TEST(pools_by_name)
{
    struct table *t = make_table();
    uint32_t a = make_pool(t, "a"), b = make_pool(t, "b");
    CHECK(a != b);
    CHECK_EQ(pool_find(t, "a"), a);
    CHECK_EQ(pool_find(t, "b"), b);
    CHECK_EQ(pool_find(t, "c"), INDEX_NONE);
}

TEST(removing_a_pool_removes_its_members)
{
    struct table *t = make_table();
    uint32_t a = make_pool(t, "a"), b = make_pool(t, "b"), out[4];
    make_entry(t, a, "1", 0);
    make_entry(t, b, "2", 0);
    make_entry(t, a, "3", 0);
    uint32_t change = word_get(&pool_at(t, a)->change),
             membership = word_get(&t->header->membership);
    remove_pool(t, a);
    CHECK_EQ(pool_find(t, "a"), INDEX_NONE);
    CHECK_EQ(entry_members(t, a, out, 4), 0);
    CHECK_EQ(entry_members(t, b, out, 4), 1);
    CHECK(word_get(&pool_at(t, a)->change) > change);
    CHECK(word_get(&t->header->membership) > membership);
    CHECK_EQ(entry_sweep(t), 2);
}

TEST(a_name_that_returns_gets_its_row_and_totals_back)
{
    struct table *t = make_table();
    make_workers(t, 1);
    uint32_t a = make_pool(t, "a"), web = make_listener(t, "web");
    count_add(&table_pcell(t, 0, a)->no_backend, 5);
    count_add(&table_lcell(t, 0, web)->accepted, 6);
    remove_pool(t, a);
    remove_listener(t, web);
    CHECK_EQ(listener_find(t, "web"), INDEX_NONE);
    CHECK(make_pool(t, "b") != a);
    CHECK(make_listener(t, "other") != web);
    CHECK_EQ(make_pool(t, "a"), a);
    CHECK_EQ(make_listener(t, "web"), web);
    CHECK_EQ(listener_find(t, "web"), web);
    CHECK_EQ(count_pcell_sum(t, a, offsetof(struct pcell, no_backend)), 5);
    CHECK_EQ(count_lcell_sum(t, web, offsetof(struct lcell, accepted)), 6);
}

TEST(pool_rows_run_out_and_are_given_to_others_last)
{
    struct table *t = make_table();
    make_workers(t, 1);
    char name[16];
    for (uint32_t i = 0; i < POOL_MAX; i++) {
        snprintf(name, sizeof name, "p%u", i);
        CHECK_EQ(make_pool(t, name), i);
    }
    table_lock(t);
    CHECK_EQ(pool_add(t, "more"), INDEX_NONE);
    table_unlock(t);
    CHECK_EQ(errno, ENOSPC);
    count_add(&table_pcell(t, 0, 9)->no_backend, 5);
    remove_pool(t, 9);
    CHECK_EQ(make_pool(t, "more"), 9);
    CHECK_STR(pool_at(t, 9)->name, "more");
    CHECK_EQ(count_pcell_sum(t, 9, offsetof(struct pcell, no_backend)), 0);
}

TEST(listener_rows_run_out_and_are_given_to_others_last)
{
    struct table *t = make_table();
    make_workers(t, 1);
    char name[16];
    for (uint32_t i = 0; i < LISTENER_MAX; i++) {
        snprintf(name, sizeof name, "l%u", i);
        CHECK_EQ(make_listener(t, name), i);
    }
    CHECK_EQ(make_listener(t, "more"), INDEX_NONE);
    CHECK_EQ(errno, ENOSPC);
    count_add(&table_lcell(t, 0, 7)->accepted, 5);
    count_add(&table_lcell(t, 0, 7)->active, 1); /* a connection that still drains */
    remove_listener(t, 7);
    CHECK_EQ(make_listener(t, "more"), 7);
    CHECK_EQ(count_lcell_sum(t, 7, offsetof(struct lcell, accepted)), 0);
    CHECK_EQ(count_lcell_sum(t, 7, offsetof(struct lcell, active)), 1);
}

TEST(usable_members)
{
    struct table *t = make_table();
    uint32_t pool = make_pool(t, "app");
    CHECK(!pool_has_usable(t, pool));
    uint32_t a = make_entry(t, pool, "a", 0), b = make_entry(t, pool, "b", 0);
    entry_set_mode(t, a, MODE_MAINTENANCE);
    CHECK(pool_has_usable(t, pool));
    entry_set_mode(t, b, MODE_MAINTENANCE);
    CHECK(!pool_has_usable(t, pool));
}

static void turn(uint32_t pool)
{
    for (int i = 0; i < 10000; i++)
        pool_cursor_next(pool_at(&table, pool));
}

TEST(the_cursor_is_exact_across_processes)
{
    struct table *t = make_table();
    uint32_t pool = make_pool(t, "app");
    for (int i = 0; i < 4; i++)
        start(turn, pool);
    wait_all();
    CHECK_EQ(pool_cursor_next(pool_at(t, pool)), 40000);
}

TEST(places_of_a_pool_are_limited)
{
    struct table *t = make_table();
    make_workers(t, 2);
    uint32_t a = make_pool(t, "a");
    word_set(&pool_at(t, a)->max_connections, 3);
    CHECK(pool_reserve(t, a, 0) && pool_reserve(t, a, 1) && pool_reserve(t, a, 1));
    CHECK(!pool_reserve(t, a, 0));
    CHECK_EQ(pool_inflight(t, a), 3);
    slot_reclaim(t, 1);
    CHECK_EQ(pool_inflight(t, a), 1);
    CHECK(pool_reserve(t, a, 0));
    pool_release(t, a, 0);
    pool_release(t, a, 0);
    CHECK_EQ(pool_inflight(t, a), 0);
}

TEST(retries_are_a_share_of_what_is_in_flight)
{
    struct table *t = make_table();
    make_workers(t, 2);
    uint32_t a = make_pool(t, "a"), most = 0;
    for (int i = 0; i < 3; i++)
        CHECK(pool_retry_reserve(t, a, 0, 20)); /* these always may */
    CHECK(!pool_retry_reserve(t, a, 1, 20));
    for (int i = 0; i < 50; i++)
        CHECK(pool_reserve(t, a, 1));
    while (most < 100 && pool_retry_reserve(t, a, 1, 20))
        most++;
    CHECK_EQ(most, 7); /* 20 % of 50, three of them taken */
    pool_retry_release(t, a, 0);
    CHECK(pool_retry_reserve(t, a, 1, 20));
}
