/* slow_start: a backend that begins gets its share little by little, the same in every view. */
#include "tests/unit/harness.h"
#include <math.h>
#include "conf/rows.h"
#include "tests/unit/worker/lb_fixture.h"

#define SLOW_US 32000000u /* a step per second */

static struct fixture f;
static uint32_t old, fresh;

/* Two equal backends, of which one begins now. */
static void open_pool(const char *algorithm)
{
    f = (struct fixture){0};
    fixture_open(&f);
    old = fixture_add(&f, 2, false);
    table_lock(&f.table);
    ramp_configure(&f.table, f.pool, SLOW_US / 1000);
    table_unlock(&f.table);
    fresh = fixture_add(&f, 2, false);
    f.now_us = count_get(&entry_at(&f.table, fresh)->ramp_us);
    fixture_view(&f, algorithm);
}

static void close_pool(void)
{
    lb_view_free(&f.view);
    table_close(&f.table);
}

static double share_of_requests(unsigned requests)
{
    unsigned count = 0;
    for (unsigned i = 0; i < requests; i++)
        count += fixture_request(&f) == fresh;
    return (double)count / requests;
}

/* Shares go like the weights: 1/32 against 1 at first, 1 against 1 at the end. */
TEST(the_share_of_requests_rises_step_by_step)
{
    static const char *const turns[] = {"weighted_round_robin", "least_connections",
                                        "weighted_least_connections", "random"};
    for (unsigned a = 0; a < ARRAY_LEN(turns); a++) {
        open_pool(turns[a]);
        for (unsigned step = 1; step <= 32; step++, f.now_us += SLOW_US / 32) {
            double ideal = (double)step / (step + 32);
            if (step == 1)
                f.now_us += SLOW_US / 32;
            CHECK(fabs(share_of_requests(4000) - ideal) < 0.04);
        }
        CHECK_EQ(ramp_share(&f.table, entry_at(&f.table, fresh)), RAMP_FULL);
        CHECK_EQ(f.view.ramp_next_us, 0);
        close_pool();
    }
}

TEST(its_load_stays_within_its_share)
{
    static const char *const loads[] = {"least_connections", "weighted_least_connections"};
    for (unsigned a = 0; a < ARRAY_LEN(loads); a++) {
        open_pool(loads[a]);
        f.now_us += SLOW_US / 4; /* a quarter of its weight */
        for (unsigned i = 0; i < 100; i++)
            CHECK(fixture_take(&f, i % 4) != INDEX_NONE);
        CHECK(abs((int)entry_inflight(&f.table, fresh) - 20) <= 1);
        close_pool();
    }
    open_pool("power_of_two"); /* both are drawn half of the time; then the loads decide */
    f.now_us += SLOW_US / 4;
    for (unsigned i = 0; i < 1000; i++)
        CHECK(fixture_take(&f, i % 4) != INDEX_NONE);
    CHECK(entry_inflight(&f.table, fresh) < 300);
    close_pool();
}

TEST(every_view_sees_the_same_step_and_a_new_one_does_not_begin_again)
{
    open_pool("weighted_round_robin");
    struct lb_view other;
    lb_view_init(&other, &f.table, f.pool, f.view.algorithm);
    f.now_us += SLOW_US / 2;
    (void)fixture_pick(&f);
    CHECK_EQ(lb_view_refresh(&other, f.now_us - SLOW_US / 4), 0); /* its clock is behind */
    CHECK_EQ(other.count, 2);
    CHECK_EQ(f.view.schedule_len, other.schedule_len);
    CHECK(memcmp(f.view.schedule, other.schedule, other.schedule_len * sizeof(uint32_t)) == 0);
    CHECK_EQ(f.view.members[1].weight, 2 * 16);
    CHECK_EQ(lb_view_refresh(&other, f.now_us), 0);
    CHECK_EQ(ramp_share(&f.table, entry_at(&f.table, fresh)), 16);
    table_lock(&f.table);
    ramp_configure(&f.table, f.pool, SLOW_US / 1000); /* a reload that changes nothing */
    table_unlock(&f.table);
    CHECK_EQ(ramp_share(&f.table, entry_at(&f.table, fresh)), 16);
    lb_view_free(&other);
    close_pool();
}

TEST(it_begins_when_a_backend_is_enabled_or_found_healthy)
{
    open_pool("weighted_round_robin");
    f.now_us += SLOW_US;
    (void)fixture_pick(&f);
    const struct entry *e = entry_at(&f.table, fresh);
    CHECK_EQ(ramp_share(&f.table, e), RAMP_FULL);
    entry_set_mode(&f.table, fresh, MODE_MAINTENANCE);
    entry_set_mode(&f.table, fresh, MODE_ENABLED);
    CHECK_EQ(ramp_share(&f.table, e), 1);
    f.now_us = count_get(&e->ramp_us) + SLOW_US;
    (void)fixture_pick(&f); /* sees the change, */
    f.now_us += SLOW_US;
    (void)fixture_pick(&f); /* then the time */
    CHECK_EQ(ramp_share(&f.table, e), RAMP_FULL);
    entry_set_health(&f.table, fresh, HEALTH_UNHEALTHY);
    CHECK_EQ(ramp_share(&f.table, e), RAMP_FULL);
    entry_set_health(&f.table, fresh, HEALTH_HEALTHY);
    CHECK_EQ(ramp_share(&f.table, e), 1);
    entry_set_mode(&f.table, fresh, MODE_ENABLED); /* it was */
    CHECK_EQ(ramp_share(&f.table, e), 1);
    table_lock(&f.table);
    ramp_configure(&f.table, f.pool, 0); /* a reload turns it off: at once */
    table_unlock(&f.table);
    CHECK_EQ(ramp_share(&f.table, e), RAMP_FULL);
    close_pool();
}

TEST(what_the_configuration_thinks_of_algorithms_is_so)
{
    for (unsigned a = 0; lb_algorithms[a]; a++) {
        const struct lb_algorithm *x = lb_algorithms[a];
        CHECK_EQ(conf_algorithm_hashes(x->name), x->table != HASHTABLE_NONE);
        if (x->loads != LOADS_NONE)
            CHECK(conf_algorithm_weighs(x->name));
        if (x->alias)
            CHECK_EQ(conf_algorithm_weighs(x->alias), conf_algorithm_weighs(x->name));
        CHECK(!(conf_algorithm_hashes(x->name) && conf_algorithm_weighs(x->name)));
    }
}
