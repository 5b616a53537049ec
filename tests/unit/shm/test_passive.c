/* Passive health: windows, ejection, the floor, the way back. */
#include "shm/passive.h"
#include "tests/unit/shm/fixture.h"

#define MS 1000ull

static bool fail(struct table *t, uint32_t e, uint64_t at_ms)
{
    return passive_failed(t, e, 0, 3, 1000, at_ms * MS, "test");
}

TEST(so_many_failures_in_a_window_take_it_out)
{
    struct table *t = make_table();
    make_workers(t, 1);
    uint32_t pool = make_pool(t, "app"), a = make_entry(t, pool, "a", 0);
    make_entry(t, pool, "b", 0);
    CHECK(!fail(t, a, 100));
    CHECK(!fail(t, a, 200));
    CHECK(!fail(t, a, 1300)); /* the window of the first is over */
    CHECK(!fail(t, a, 1400));
    CHECK(entry_usable(entry_at(t, a)));
    CHECK(fail(t, a, 1500));
    CHECK(passive_ejected(entry_at(t, a)));
    CHECK(!entry_usable(entry_at(t, a)));
    CHECK_EQ(entry_status(entry_at(t, a)), STATUS_UNHEALTHY);
    CHECK(!fail(t, a, 1600));
}

TEST(the_last_usable_one_stays)
{
    struct table *t = make_table();
    make_workers(t, 1);
    uint32_t pool = make_pool(t, "app"), a = make_entry(t, pool, "a", 0);
    uint32_t b = make_entry(t, pool, "b", 0);
    for (int i = 0; i < 3; i++)
        (void)fail(t, a, 100);
    for (int i = 0; i < 30; i++)
        CHECK(!fail(t, b, 100));
    CHECK(entry_usable(entry_at(t, b)));
    CHECK(!entry_usable(entry_at(t, a)));
}

TEST(two_processes_never_take_out_the_last_two)
{
    struct table *t = make_table();
    make_workers(t, 2);
    uint32_t pool = make_pool(t, "app");
    uint32_t e[2] = {make_entry(t, pool, "a", 0), make_entry(t, pool, "b", 0)};
    for (int round = 0; round < 50; round++) {
        pid_t pids[2];
        for (uint32_t p = 0; p < 2; p++)
            if ((pids[p] = fork()) == 0) {
                for (int i = 0; i < 3; i++)
                    (void)passive_failed(t, e[p], p, 3, 1000, 5 * MS, "test");
                _exit(0);
            }
        for (int p = 0; p < 2; p++)
            CHECK_EQ(waitpid(pids[p], NULL, 0), pids[p]);
        CHECK(pool_has_usable(t, pool));
        passive_clear(t, e[0]);
        passive_clear(t, e[1]);
    }
}

TEST(it_comes_back_by_itself)
{
    struct table *t = make_table();
    make_workers(t, 1);
    uint32_t pool = make_pool(t, "app"), a = make_entry(t, pool, "a", 0);
    make_entry(t, pool, "b", 0);
    for (int i = 0; i < 3; i++)
        (void)fail(t, a, 100);
    uint32_t change = word_get(&pool_at(t, pool)->change);
    pool_recheck(t, pool, 0, 0, 1099 * MS);
    CHECK(passive_ejected(entry_at(t, a)));
    pool_recheck(t, pool, 0, 0, 1101 * MS);
    CHECK(!passive_ejected(entry_at(t, a)));
    CHECK(word_get(&pool_at(t, pool)->change) > change);
    CHECK_EQ(count_get(&pool_at(t, pool)->recheck_us), 0);
}
