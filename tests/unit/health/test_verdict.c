/* Rise and fall: the rules one by one, then against a slow model on random results. */
#include "base/hash.h"
#include "health/verdict.h"
#include "tests/unit/harness.h"

#define RISE 2u
#define FALL 3u

/* Feeds results ('+' passed, '-' failed) and returns the verdict. */
static struct verdict feed(struct verdict v, const char *results)
{
    for (const char *r = results; *r != '\0'; r++)
        v = verdict_next(v, *r == '+', RISE, FALL);
    return v;
}

static struct verdict at(enum entry_health health)
{
    return (struct verdict){.health = health, .streak = 0};
}

TEST(first_success_decides)
{
    struct verdict v = feed(at(HEALTH_UNKNOWN), "+");
    CHECK_EQ(v.health, HEALTH_HEALTHY);
    CHECK_EQ(v.streak, 0);
}

TEST(first_failure_does_not)
{
    struct verdict v = feed(at(HEALTH_UNKNOWN), "-");
    CHECK_EQ(v.health, HEALTH_UNKNOWN);
    CHECK_EQ(v.streak, 1);
    CHECK(verdict_unsure(v));
    CHECK_EQ(feed(v, "-").health, HEALTH_UNKNOWN);
    CHECK_EQ(feed(v, "--").health, HEALTH_UNHEALTHY);
    CHECK_EQ(feed(v, "-+").health, HEALTH_HEALTHY);
}

TEST(fall_needs_consecutive_failures)
{
    CHECK_EQ(feed(at(HEALTH_HEALTHY), "--").health, HEALTH_HEALTHY);
    CHECK_EQ(feed(at(HEALTH_HEALTHY), "---").health, HEALTH_UNHEALTHY);
    CHECK_EQ(feed(at(HEALTH_HEALTHY), "--+--+--").health, HEALTH_HEALTHY);
    CHECK_EQ(feed(at(HEALTH_HEALTHY), "--+---").health, HEALTH_UNHEALTHY);
}

TEST(rise_needs_consecutive_successes)
{
    CHECK_EQ(feed(at(HEALTH_UNHEALTHY), "+").health, HEALTH_UNHEALTHY);
    CHECK_EQ(feed(at(HEALTH_UNHEALTHY), "++").health, HEALTH_HEALTHY);
    CHECK_EQ(feed(at(HEALTH_UNHEALTHY), "+-+-+").health, HEALTH_UNHEALTHY);
    CHECK_EQ(feed(at(HEALTH_UNHEALTHY), "+-++").health, HEALTH_HEALTHY);
}

TEST(a_change_starts_from_zero)
{
    struct verdict v = feed(at(HEALTH_HEALTHY), "---");
    CHECK_EQ(v.streak, 0);
    CHECK(!verdict_unsure(v));
    CHECK_EQ(feed(v, "+").health, HEALTH_UNHEALTHY);
}

TEST(thresholds_of_one_and_lowered_ones)
{
    struct verdict v = feed(at(HEALTH_HEALTHY), "--");
    CHECK_EQ(verdict_next(v, false, RISE, 1).health, HEALTH_UNHEALTHY);
    CHECK_EQ(verdict_next(at(HEALTH_HEALTHY), false, 1, 1).health, HEALTH_UNHEALTHY);
    CHECK_EQ(verdict_next(at(HEALTH_UNHEALTHY), true, 1, 1).health, HEALTH_HEALTHY);
    CHECK_EQ(verdict_next(at(HEALTH_UNHEALTHY), true, 0, 0).health, HEALTH_HEALTHY);
}

/* How many results at the end of the history are equal to the last one. */
static uint32_t run_length(const bool *results, uint32_t count)
{
    uint32_t n = 1;
    while (n < count && results[count - 1 - n] == results[count - 1])
        n++;
    return n;
}

/*
 * The property: a verdict turns bad exactly when the last `fall` results failed, good exactly when
 * the last `rise` passed, an unknown one also at the first that passed. The runs are counted from
 * the whole history, without the counter of the code.
 */
TEST(random_histories_follow_the_runs)
{
    for (uint32_t seed = 1; seed <= 200; seed++) {
        struct verdict v = at(HEALTH_UNKNOWN);
        enum entry_health expected = HEALTH_UNKNOWN;
        bool results[300];
        uint32_t rise = 1 + seed % 5, fall = 1 + seed / 5 % 5;
        for (uint32_t i = 0; i < 300; i++) {
            results[i] = hash_mix64((uint64_t)seed << 32 | i) % 3 != 0;
            uint32_t run = run_length(results, i + 1);
            if (results[i] && (expected == HEALTH_UNKNOWN || run >= rise))
                expected = HEALTH_HEALTHY;
            if (!results[i] && run >= fall)
                expected = HEALTH_UNHEALTHY;
            v = verdict_next(v, results[i], rise, fall);
            CHECK_EQ(v.health, expected);
            CHECK(v.streak < (v.health == HEALTH_UNHEALTHY ? rise : fall));
        }
    }
}
