/* Numbers as text: the same as printf. */
#include "tests/unit/harness.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/digits.h"

/* Of every length, and beside where it grows. */
static uint64_t next(uint64_t v)
{
    return v * 3 + v / 2 + 1;
}

TEST(decimal_is_what_printf_writes)
{
    char ours[DIGITS_UINT_MAX + 1], theirs[DIGITS_UINT_MAX + 1];
    uint64_t v = 0;
    for (int i = 0; i < 200; i++, v = next(v)) {
        *digits_uint(ours, v) = '\0';
        snprintf(theirs, sizeof theirs, "%" PRIu64, v);
        CHECK_STR(ours, theirs);
    }
    for (v = 0; v < 2000; v++) {
        *digits_uint(ours, v) = '\0';
        snprintf(theirs, sizeof theirs, "%" PRIu64, v);
        CHECK_STR(ours, theirs);
    }
    for (uint64_t power = 1; power < UINT64_MAX / 10; power *= 10)
        for (uint64_t w = power - 1; w <= power; w++) {
            *digits_uint(ours, w) = '\0';
            snprintf(theirs, sizeof theirs, "%" PRIu64, w);
            CHECK_STR(ours, theirs);
        }
    *digits_uint(ours, UINT64_MAX) = '\0';
    CHECK_STR(ours, "18446744073709551615");
}

TEST(hexadecimal_is_what_printf_writes)
{
    char ours[17] = "", theirs[17];
    uint64_t v = 0x0123456789abcdefu;
    for (int i = 0; i < 200; i++, v = next(v)) {
        digits_hex(ours, v);
        snprintf(theirs, sizeof theirs, "%016" PRIx64, v);
        CHECK_STR(ours, theirs);
    }
}

TEST(three_digits)
{
    for (uint32_t v = 0; v < 1000; v++) {
        char ours[4] = "", theirs[16];
        digits_three(ours, v);
        snprintf(theirs, sizeof theirs, "%03u", v);
        CHECK_STR(ours, theirs);
    }
}
