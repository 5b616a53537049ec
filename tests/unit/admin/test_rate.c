/* Requests per second from samples of the totals. */
#include "tests/unit/admin/fixture.h"

static void requests(uint32_t slot, uint64_t n)
{
    count_add(&table_lcell(&fx.table, slot, fx.web)->requests, n);
    count_add(&table_cell(&fx.table, slot, fx.b1)->requests, n);
}

TEST(rates_are_differences_over_the_window)
{
    setup();
    struct rate *r = fx.api.rate;
    CHECK_EQ(rate_total(r), 0);
    requests(0, 500);
    rate_tick(r, &fx.table, 1000000);
    CHECK_EQ(rate_total(r), 0); /* one sample says nothing */
    requests(0, 100);
    requests(1, 50);
    rate_tick(r, &fx.table, 2000000);
    CHECK_EQ(rate_total(r), 150);
    CHECK_EQ(rate_listener(r, fx.web), 150);
    CHECK_EQ(rate_entry(r, fx.b1), 150);
    CHECK_EQ(rate_entry(r, fx.b2), 0);
    CHECK_EQ(rate_entry(r, ENTRY_MAX - 1), 0);
}

TEST(old_samples_leave_the_window)
{
    setup();
    struct rate *r = fx.api.rate;
    requests(0, 1000);
    for (uint64_t second = 1; second <= RATE_SAMPLES + 3; second++)
        rate_tick(r, &fx.table, second * 1000000);
    CHECK_EQ(rate_total(r), 0);
    requests(0, 10);
    rate_tick(r, &fx.table, (RATE_SAMPLES + 4) * 1000000ull);
    CHECK_EQ(rate_total(r), 2); /* 10 in five seconds */
}

TEST(backends_added_between_samples_count_from_zero)
{
    setup();
    struct rate *r = fx.api.rate;
    rate_tick(r, &fx.table, 1000000);
    table_lock(&fx.table);
    uint32_t fresh = add_backend(fx.app, "fresh", "127.0.0.1:9009");
    table_unlock(&fx.table);
    count_add(&table_cell(&fx.table, 0, fresh)->requests, 30);
    rate_tick(r, &fx.table, 2000000);
    CHECK_EQ(rate_entry(r, fresh), 30);
}
