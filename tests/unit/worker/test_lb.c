/* Views and algorithms as pure functions over a table. */
#include "tests/unit/harness.h"
#include "conf/rows.h"
#include "tests/unit/worker/lb_fixture.h"

TEST(every_algorithm_is_known_to_the_configuration)
{
    unsigned n = 0;
    for (; lb_algorithms[n]; n++) {
        bool found = false;
        for (unsigned i = 0; conf_algorithms[i]; i++)
            found |= strcmp(conf_algorithms[i], lb_algorithms[n]->name) == 0;
        CHECK(found);
    }
    for (unsigned i = 0; conf_algorithms[i]; i++)
        CHECK(lb_find(conf_algorithms[i]) != NULL);
}

TEST(round_robin_counts_differ_by_at_most_one)
{
    static struct fixture f; /* reachable at exit */
    fixture_open(&f);
    for (int i = 0; i < 7; i++)
        fixture_add(&f, 1, false);
    fixture_view(&f, "round_robin");
    unsigned counts[ENTRY_MAX] = {0};
    for (unsigned i = 1; i <= 1000; i++) {
        counts[fixture_pick(&f)]++;
        unsigned low = UINT32_MAX, high = 0;
        for (uint32_t m = 0; m < 7; m++) {
            unsigned c = counts[f.view.members[m].entry];
            low = c < low ? c : low;
            high = c > high ? c : high;
        }
        CHECK(high - low <= 1);
    }
}

TEST(an_unusable_member_is_never_picked_and_returns)
{
    for (unsigned a = 0; lb_algorithms[a]; a++) {
        struct fixture f;
        fixture_open(&f);
        uint32_t first = fixture_add(&f, 1, false), second = fixture_add(&f, 1, false);
        fixture_view(&f, lb_algorithms[a]->name);
        entry_set_health(&f.table, first, HEALTH_UNHEALTHY);
        for (int i = 0; i < 20; i++)
            CHECK_EQ(fixture_pick(&f), second);
        entry_set_mode(&f.table, second, MODE_MAINTENANCE);
        CHECK_EQ(fixture_pick(&f), INDEX_NONE);
        entry_set_health(&f.table, first, HEALTH_HEALTHY);
        entry_set_health(&f.table, second,
                         HEALTH_HEALTHY); /* a passing check does not undo maintenance */
        for (int i = 0; i < 20; i++)
            CHECK_EQ(fixture_pick(&f), first);
        lb_view_free(&f.view);
        table_close(&f.table);
    }
}

TEST(backups_only_when_no_primary_is_usable)
{
    static struct fixture f; /* reachable at exit */
    fixture_open(&f);
    uint32_t primary = fixture_add(&f, 1, false), backup = fixture_add(&f, 1, true);
    fixture_view(&f, "round_robin");
    for (int i = 0; i < 10; i++)
        CHECK_EQ(fixture_pick(&f), primary);
    entry_set_health(&f.table, primary, HEALTH_UNHEALTHY);
    CHECK_EQ(fixture_pick(&f), backup);
    entry_set_health(&f.table, primary, HEALTH_HEALTHY);
    CHECK_EQ(fixture_pick(&f), primary);
}

TEST(an_unknown_backend_waits_while_a_known_good_one_exists)
{
    static struct fixture f; /* reachable at exit */
    fixture_open(&f);
    uint32_t good = fixture_add(&f, 1, false), fresh = fixture_add(&f, 1, false);
    entry_set_health(&f.table, fresh, HEALTH_UNKNOWN);
    fixture_view(&f, "round_robin");
    for (int i = 0; i < 10; i++)
        CHECK_EQ(fixture_pick(&f), good);
    entry_set_health(&f.table, good, HEALTH_UNHEALTHY);
    CHECK_EQ(fixture_pick(&f), fresh);
}

/* In any window of one cycle each member gets exactly its weight; in any prefix it is less than one
 * turn off the ideal. */
static void check_smooth(const unsigned *weights, unsigned n)
{
    static struct fixture f; /* reachable at exit */
    unsigned sum = 0;
    fixture_open(&f);
    for (unsigned i = 0; i < n; i++) {
        fixture_add(&f, weights[i], false);
        sum += weights[i];
    }
    fixture_view(&f, "weighted_round_robin");
    unsigned *counts = calloc(ENTRY_MAX, sizeof *counts);
    for (unsigned t = 1; t <= 3 * sum; t++) {
        counts[fixture_pick(&f)]++;
        for (unsigned m = 0; m < n; m++) {
            double ideal = (double)t * weights[m] / sum, got = counts[f.view.members[m].entry];
            CHECK(got < ideal + 1.0 + 1e-9 && got > ideal - 1.0 - 1e-9);
            if (t % sum == 0)
                CHECK_EQ(got, t / sum * weights[m]);
        }
    }
    free(counts);
    lb_view_free(&f.view);
    table_close(&f.table);
}

TEST(weighted_round_robin_is_exact_over_a_cycle_and_smooth_within)
{
    check_smooth((const unsigned[]){5, 3, 1}, 3);
    check_smooth((const unsigned[]){5, 1, 1}, 3);
    check_smooth((const unsigned[]){100, 100, 50}, 3);
    check_smooth((const unsigned[]){1, 2, 1, 3}, 4);
    check_smooth((const unsigned[]){256, 1}, 2);
    srand(7);
    for (int round = 0; round < 20; round++) {
        unsigned weights[12], n = 1 + (unsigned)rand() % 12;
        for (unsigned i = 0; i < n; i++)
            weights[i] = 1 + (unsigned)rand() % 30;
        check_smooth(weights, n);
    }
}

TEST(weight_zero_takes_no_requests_and_a_new_weight_counts_at_the_next_pick)
{
    static struct fixture f; /* reachable at exit */
    fixture_open(&f);
    uint32_t a = fixture_add(&f, 0, false), b = fixture_add(&f, 1, false);
    fixture_view(&f, "weighted_round_robin");
    for (int i = 0; i < 10; i++)
        CHECK_EQ(fixture_pick(&f), b);
    entry_set_weight_override(&f.table, a, 3);
    unsigned counts[ENTRY_MAX] = {0};
    for (int i = 0; i < 8; i++)
        counts[fixture_pick(&f)]++;
    CHECK_EQ(counts[a], 6);
    CHECK_EQ(counts[b], 2);
}

TEST(ten_thousand_uneven_members_build)
{
    static struct fixture f; /* reachable at exit */
    fixture_open(&f);
    for (unsigned i = 0; i < 10000; i++)
        fixture_add(&f, 1 + i % 256, false);
    fixture_view(&f, "weighted_round_robin");
    CHECK_EQ(f.view.count, 10000);
    CHECK(f.view.schedule_len <= 1u << 20);
    unsigned *counts = calloc(ENTRY_MAX, sizeof *counts);
    for (unsigned t = 0; t < f.view.schedule_len; t++)
        counts[fixture_pick(&f)]++;
    for (uint32_t m = 0; m < f.view.count; m++)
        CHECK(counts[f.view.members[m].entry] > 0);
    free(counts);
}

TEST(least_connections_takes_the_least_loaded_over_all_slots)
{
    static struct fixture f; /* reachable at exit */
    fixture_open(&f);
    uint32_t e[3];
    for (int i = 0; i < 3; i++)
        e[i] = fixture_add(&f, 1, false);
    fixture_view(&f, "least_connections");
    CHECK(entry_reserve(&f.table, e[0], word_get(&entry_at(&f.table, e[0])->incarnation), 0));
    CHECK(entry_reserve(&f.table, e[1], word_get(&entry_at(&f.table, e[1])->incarnation), 3));
    for (int i = 0; i < 10; i++)
        CHECK_EQ(fixture_pick(&f), e[2]);
    CHECK(entry_reserve(&f.table, e[2], word_get(&entry_at(&f.table, e[2])->incarnation), 1));
    unsigned counts[ENTRY_MAX] = {0};
    for (int i = 0; i < 30; i++)
        counts[fixture_request(&f)]++;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(counts[e[i]], 10); /* equals take turns */
}

TEST(tried_members_are_left_out_until_none_is_left)
{
    for (unsigned a = 0; lb_algorithms[a]; a++) {
        struct fixture f;
        fixture_open(&f);
        for (int i = 0; i < 5; i++)
            fixture_add(&f, 1 + (unsigned)i, false);
        fixture_view(&f, lb_algorithms[a]->name);
        struct lb_request r = {0};
        for (uint32_t i = 0; i < 5; i++) {
            uint32_t got = f.view.algorithm->select(&f.view, &r);
            CHECK(got != INDEX_NONE && !lb_tried(&r, got));
            r.tried[r.tried_count++] = got;
        }
        CHECK_EQ(f.view.algorithm->select(&f.view, &r), INDEX_NONE);
        lb_view_free(&f.view);
        table_close(&f.table);
    }
}

/* Random membership and state changes: what is picked is always usable. */
TEST(no_unusable_backend_is_ever_picked)
{
    srand(11);
    for (unsigned a = 0; lb_algorithms[a]; a++) {
        struct fixture f;
        fixture_open(&f);
        uint32_t e[8];
        for (int i = 0; i < 8; i++)
            e[i] = fixture_add(&f, 1 + (unsigned)i % 3, i == 7);
        fixture_view(&f, lb_algorithms[a]->name);
        for (int step = 0; step < 2000; step++) {
            uint32_t who = e[rand() % 8];
            if (rand() % 3 == 0)
                entry_set_health(&f.table, who, (enum entry_health)(rand() % 3));
            else if (rand() % 3 == 0)
                entry_set_mode(&f.table, who, (enum entry_mode)(rand() % 3));
            uint32_t got = fixture_pick(&f);
            bool any = false;
            for (int i = 0; i < 8; i++)
                any |= entry_usable(entry_at(&f.table, e[i]));
            CHECK(any == (got != INDEX_NONE));
            CHECK(got == INDEX_NONE || entry_usable(entry_at(&f.table, got)));
        }
        lb_view_free(&f.view);
        table_close(&f.table);
    }
}
