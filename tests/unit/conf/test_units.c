#include "conf/units.h"
#include "tests/unit/harness.h"

static void check_good(enum units_kind kind, const char *text, uint64_t value)
{
    uint64_t out = 0;
    CHECK_EQ(units_parse(kind, text, &out), UNITS_OK);
    CHECK_EQ(out, value);
}

static void check_bad(enum units_kind kind, const char *text, enum units_result result)
{
    uint64_t out = 77;
    CHECK_EQ(units_parse(kind, text, &out), result);
    CHECK_EQ(out, 77);
}

TEST(durations)
{
    check_good(UNITS_DURATION, "200ms", 200);
    check_good(UNITS_DURATION, "5s", 5000);
    check_good(UNITS_DURATION, "10m", 600000);
    check_good(UNITS_DURATION, "1h", 3600000);
    check_good(UNITS_DURATION, "365d", 365ull * 86400000);
    check_good(UNITS_DURATION, "0s", 0);
    check_good(UNITS_DURATION, "010s", 10000);
}

TEST(sizes)
{
    check_good(UNITS_SIZE, "1b", 1);
    check_good(UNITS_SIZE, "64k", 65536);
    check_good(UNITS_SIZE, "50m", 50ull << 20);
    check_good(UNITS_SIZE, "3g", 3ull << 30);
    check_good(UNITS_SIZE, "2t", 2ull << 40);
}

TEST(what_is_not_one)
{
    static const char *const bad[] = {"",     "s",    "-5s", "+5s",   " 5s", "5 s", "5s ",
                                      "5sec", "1.5s", "5S",  "1h30m", "5k",  "0x5s"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check_bad(UNITS_DURATION, bad[i], UNITS_BAD);
    check_bad(UNITS_SIZE, "5s", UNITS_BAD);
    check_bad(UNITS_SIZE, "5kb", UNITS_BAD);
    check_bad(UNITS_DURATION, "5", UNITS_BARE);
    check_bad(UNITS_SIZE, "99999999999999999999999", UNITS_BARE);
}

TEST(nothing_wraps)
{
    check_good(UNITS_DURATION, "18446744073709551615ms", UINT64_MAX);
    check_bad(UNITS_DURATION, "18446744073709551616ms", UNITS_HUGE);
    check_bad(UNITS_DURATION, "18446744073709551615s", UNITS_HUGE);
    check_bad(UNITS_SIZE, "16777216t", UNITS_HUGE);
    check_good(UNITS_SIZE, "16777215t", 16777215ull << 40);
}

TEST(format_is_exact_and_short)
{
    static const struct {
        enum units_kind kind;
        uint64_t value;
        const char *text;
    } rows[] = {
        {UNITS_DURATION, 0, "0s"},
        {UNITS_DURATION, 1, "1ms"},
        {UNITS_DURATION, 1500, "1500ms"},
        {UNITS_DURATION, 90000, "90s"},
        {UNITS_DURATION, 60000, "1m"},
        {UNITS_DURATION, 172800000, "2d"},
        {UNITS_SIZE, 0, "0b"},
        {UNITS_SIZE, 1000, "1000b"},
        {UNITS_SIZE, 32768, "32k"},
        {UNITS_SIZE, 50u << 20, "50m"},
    };
    char text[UNITS_STRLEN];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_STR(units_format(rows[i].kind, rows[i].value, text), rows[i].text);
}

TEST(format_and_parse_are_inverse)
{
    char text[UNITS_STRLEN];
    for (uint64_t value = 1; value < UINT64_MAX / 7; value = value * 5 + 3) {
        check_good(UNITS_DURATION, units_format(UNITS_DURATION, value, text), value);
        check_good(UNITS_SIZE, units_format(UNITS_SIZE, value, text), value);
    }
}
