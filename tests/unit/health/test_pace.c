/* When checks are due: bounds of each pace, and that ten thousand backends do not fire together. */
#include "base/hash.h"
#include "health/pace.h"
#include "tests/unit/harness.h"

#define BACKENDS 10000u

static double lowest(uint32_t interval_ms, bool unsure)
{
    return pace_next_s(interval_ms, unsure, 0);
}

static double highest(uint32_t interval_ms, bool unsure)
{
    return pace_next_s(interval_ms, unsure, UINT64_MAX);
}

static bool near(double a, double b)
{
    return a > b - 1e-9 && a < b + 1e-9;
}

TEST(interval_with_ten_percent_of_jitter)
{
    CHECK(near(lowest(10000, false), 9));
    CHECK(near(highest(10000, false), 11));
}

TEST(unsure_is_a_quarter)
{
    CHECK(near(lowest(10000, true), 0.9 * 2.5));
    CHECK(near(highest(10000, true), 1.1 * 2.5));
}

TEST(unsure_is_not_under_a_second)
{
    CHECK(near(lowest(2000, true), 0.9));
    CHECK(near(highest(2000, true), 1.1));
}

TEST(unsure_is_never_slower_than_the_interval)
{
    CHECK(near(lowest(300, true), lowest(300, false)));
    CHECK(near(highest(300, true), highest(300, false)));
}

TEST(one_new_backend_is_checked_at_once)
{
    CHECK(near(pace_first_s(10000, 1, 0), 0));
    CHECK(pace_first_s(10000, 1, UINT64_MAX) < 0.051);
}

TEST(many_new_backends_are_spread)
{
    CHECK(pace_first_s(10000, BACKENDS, UINT64_MAX) > 2);
    CHECK(pace_first_s(10000, BACKENDS, UINT64_MAX) < 2.1);
    CHECK(near(pace_first_s(500, BACKENDS, UINT64_MAX), 0.5));
}

/* Start times over five rounds: no 10 ms window holds more than a few times its fair share. */
TEST(ten_thousand_do_not_fire_together)
{
    static uint32_t windows[8000];
    uint64_t seed = 7;
    for (uint32_t b = 0; b < BACKENDS; b++) {
        double at = pace_first_s(10000, BACKENDS, hash_mix64(++seed));
        at += pace_phase_s(10000, hash_mix64(++seed));
        for (int round = 0; round < 5; round++) {
            CHECK(at < 80);
            windows[(uint32_t)(at * 100)]++;
            at += pace_next_s(10000, false, hash_mix64(++seed));
        }
    }
    for (uint32_t w = 0; w < 8000; w++)
        CHECK(windows[w] < 40); /* fair share: 10 */
}
