/* The clock of limits.bandwidth: over any time no more than its worth, and no less for who waits.
 */
#include "tests/unit/harness.h"

#include "worker/pace.h"

static const uint64_t rates[] = {1, 100, 1024, 65536, 1000003, 1u << 30, 1ull << 40};

TEST(no_more_and_no_less_than_the_rate)
{
    for (unsigned i = 0; i < ARRAY_LEN(rates); i++) {
        uint64_t rate = rates[i], now_us = 1000000000, sent = 0;
        struct pace_clock p = {now_us};
        for (unsigned k = 0; k < 1000; k++) {
            now_us += pace_wait_us(&p, rate, now_us);
            CHECK_EQ(pace_wait_us(&p, rate, now_us), 0);
            uint64_t n = pace_allowed(&p, rate, now_us);
            CHECK(n > 0);
            pace_charge(&p, rate, n);
            sent += n;
            CHECK((double)sent <=
                  (double)(now_us - 1000000000) / 1e6 * (double)rate * 1.000001 + 1);
        }
        double worth = (double)(now_us - 1000000000) / 1e6 * (double)rate;
        CHECK((double)sent > 0.99 * worth - 2);
    }
}

TEST(a_wake_up_is_worth_it)
{
    struct pace_clock p = {5000000};
    CHECK_EQ(pace_wait_us(&p, 1 << 20, 5000000), 50000);
    CHECK_EQ(pace_wait_us(&p, 14600, 5000000), 100000); /* a packet */
    CHECK_EQ(pace_wait_us(&p, 10, 5000000), 1000000);
    CHECK_EQ(pace_wait_us(&p, 1 << 20, 5030000), 20000);
}

TEST(time_that_was_not_used_is_not_saved_up)
{
    struct pace_clock p = {0};
    CHECK_EQ(pace_allowed(&p, 1000000, 3600000000ull), 100000);
    CHECK_EQ(pace_allowed(&p, 1000000, 3600000000ull), 100000);
    pace_charge(&p, 1000000, 100000);
    CHECK_EQ(pace_allowed(&p, 1000000, 3600000000ull), 0);
    CHECK_EQ(pace_allowed(&p, 1000000, 3600000010ull), 10);
}

TEST(a_debt_is_waited_for)
{
    struct pace_clock p = {1000000};
    pace_charge(&p, 1000, 2000); /* TLS had to be given more */
    CHECK_EQ(pace_allowed(&p, 1000, 2900000), 0);
    CHECK_EQ(pace_wait_us(&p, 1000, 1000000), 3000000);
}
