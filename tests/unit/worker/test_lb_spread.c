/* How the algorithms that look at load, or at nothing, spread requests. */
#include "tests/unit/harness.h"
#include <math.h>
#include "tests/unit/worker/lb_fixture.h"

static const unsigned weights[] = {5, 3, 1, 1};
#define MEMBERS ARRAY_LEN(weights)

static void open_weighted(struct fixture *f, uint32_t *entries, const char *algorithm)
{
    fixture_open(f);
    for (unsigned i = 0; i < MEMBERS; i++)
        entries[i] = fixture_add(f, weights[i], false);
    fixture_view(f, algorithm);
}

static void hold(struct fixture *f, uint32_t entry, unsigned times)
{
    uint32_t incarnation = word_get(&entry_at(&f->table, entry)->incarnation);
    for (unsigned i = 0; i < times; i++)
        CHECK(entry_reserve(&f->table, entry, incarnation, i % 4));
}

TEST(random_spreads_in_proportion_to_weight)
{
    static struct fixture f; /* reachable at exit */
    uint32_t e[MEMBERS];
    unsigned counts[ENTRY_MAX] = {0}, draws = 100000;
    open_weighted(&f, e, "random");
    for (unsigned i = 0; i < draws; i++)
        counts[fixture_pick(&f)]++;
    for (unsigned i = 0; i < MEMBERS; i++) {
        double p = weights[i] / 10.0, sigma = sqrt(draws * p * (1 - p));
        CHECK(fabs(counts[e[i]] - draws * p) < 6 * sigma);
    }
}

TEST(random_follows_a_new_weight_and_a_removal)
{
    static struct fixture f; /* reachable at exit */
    uint32_t e[MEMBERS];
    unsigned counts[ENTRY_MAX] = {0};
    open_weighted(&f, e, "random");
    entry_set_weight_override(&f.table, e[0], 0);
    table_lock(&f.table);
    entry_remove(&f.table, e[1]);
    table_unlock(&f.table);
    for (unsigned i = 0; i < 10000; i++)
        counts[fixture_pick(&f)]++;
    CHECK_EQ(counts[e[0]] + counts[e[1]], 0);
    CHECK(fabs(counts[e[2]] - 5000.0) < 300);
}

TEST(power_of_two_never_takes_the_busiest_while_it_has_a_choice)
{
    static struct fixture f; /* reachable at exit */
    uint32_t e[5];
    fixture_open(&f);
    for (unsigned i = 0; i < ARRAY_LEN(e); i++)
        e[i] = fixture_add(&f, 1, false);
    fixture_view(&f, "power_of_two");
    hold(&f, e[3], 50);
    unsigned counts[ENTRY_MAX] = {0};
    for (unsigned i = 0; i < 10000; i++)
        counts[fixture_pick(&f)]++;
    /* only when both draws are the busy one: 1 in 25 */
    CHECK(counts[e[3]] > 200 && counts[e[3]] < 600);
    for (unsigned i = 0; i < ARRAY_LEN(e); i++)
        CHECK(i == 3 || counts[e[i]] > 2000);
}

TEST(power_of_two_keeps_loads_close_together)
{
    static struct fixture f; /* reachable at exit */
    uint32_t e[20];
    fixture_open(&f);
    for (unsigned i = 0; i < ARRAY_LEN(e); i++)
        e[i] = fixture_add(&f, 1, false);
    fixture_view(&f, "power_of_two");
    for (unsigned i = 0; i < 2000; i++)
        hold(&f, fixture_pick(&f), 1);
    for (unsigned i = 0; i < ARRAY_LEN(e); i++) {
        uint32_t load = entry_inflight(&f.table, e[i]);
        CHECK(load > 90 && load < 110);
    }
}

TEST(weighted_least_connections_fills_in_proportion_to_weight)
{
    static struct fixture f; /* reachable at exit */
    uint32_t e[MEMBERS];
    open_weighted(&f, e, "weighted_least_connections");
    for (unsigned i = 0; i < 1000; i++)
        hold(&f, fixture_pick(&f), 1);
    for (unsigned i = 0; i < MEMBERS; i++)
        CHECK(abs((int)entry_inflight(&f.table, e[i]) - (int)weights[i] * 100) <= 1);
}

TEST(weighted_least_connections_lets_idle_equals_take_turns)
{
    static struct fixture f; /* reachable at exit */
    uint32_t e[4];
    fixture_open(&f);
    for (unsigned i = 0; i < ARRAY_LEN(e); i++)
        e[i] = fixture_add(&f, 2, false);
    fixture_view(&f, "weighted_least_connections");
    unsigned counts[ENTRY_MAX] = {0};
    for (unsigned i = 0; i < 40; i++)
        counts[fixture_request(&f)]++;
    for (unsigned i = 0; i < ARRAY_LEN(e); i++)
        CHECK_EQ(counts[e[i]], 10);
}

TEST(first_fills_one_after_the_other)
{
    static struct fixture f; /* reachable at exit */
    uint32_t e[3];
    fixture_open(&f);
    for (unsigned i = 0; i < ARRAY_LEN(e); i++) {
        e[i] = fixture_add(&f, 1, false);
        word_set(&entry_at(&f.table, e[i])->max_connections, 2);
    }
    fixture_view(&f, "first");
    for (unsigned i = 0; i < 6; i++) {
        uint32_t got = fixture_pick(&f);
        CHECK_EQ(got, e[i / 2]);
        hold(&f, got, 1);
    }
    CHECK_EQ(fixture_pick(&f), INDEX_NONE); /* all full */
    entry_release(&f.table, e[1], 0);
    CHECK_EQ(fixture_pick(&f), e[1]);
    entry_release(&f.table, e[0], 0);
    CHECK_EQ(fixture_pick(&f), e[0]);
}
