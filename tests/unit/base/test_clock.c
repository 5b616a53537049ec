#include "tests/unit/harness.h"

#include <time.h>
#include "base/clock.h"

static const struct {
    uint64_t wall_ms;
    const char *want;
} moments[] = {
    {0, "1970-01-01T00:00:00.000Z"},
    {951782400001u, "2000-02-29T00:00:00.001Z"},
    {1769862896789u, "2026-01-31T12:34:56.789Z"},
    {4102444799999u, "2099-12-31T23:59:59.999Z"},
    {253402300799999u, "9999-12-31T23:59:59.999Z"},
    {UINT64_MAX, "9999-12-31T23:59:59.999Z"},
};

TEST(rfc3339)
{
    char out[25];
    for (size_t i = 0; i < ARRAY_LEN(moments); i++) {
        CHECK(clock_format_rfc3339(moments[i].wall_ms, out, sizeof out) == out);
        CHECK_STR(out, moments[i].want);
    }
}

TEST(rfc3339_is_utc_everywhere)
{
    char out[25];
    setenv("TZ", "Asia/Tokyo", 1);
    tzset();
    CHECK_STR(clock_format_rfc3339(0, out, sizeof out), "1970-01-01T00:00:00.000Z");
}

TEST(monotonic_never_goes_back)
{
    uint64_t last_us = clock_mono_us(), first_ms = clock_mono_ms();
    for (int i = 0; i < 100000; i++) {
        uint64_t now_us = clock_mono_us();
        CHECK(now_us >= last_us);
        last_us = now_us;
    }
    CHECK(first_ms <= last_us / 1000);
    CHECK(clock_mono_ms() >= last_us / 1000);
}

TEST(wall_clock_is_the_time_of_day)
{
    time_t before = time(NULL);
    uint64_t wall_ms = clock_wall_ms();
    /* time() reads a coarser clock, up to a tick behind */
    CHECK(wall_ms / 1000 >= (uint64_t)before);
    CHECK(wall_ms / 1000 <= (uint64_t)time(NULL) + 1);
}
