/* Dates of HTTP: the three forms, and what is none. */
#include "base/http_date.h"
#include "tests/unit/harness.h"

#define NOW 1790000000 /* 2026 */

static int64_t parse(const char *s)
{
    int64_t out = -1;
    return http_date_parse(s, strlen(s), NOW, &out) ? out : -1;
}

TEST(the_three_forms)
{
    CHECK_EQ(parse("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    CHECK_EQ(parse("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
    CHECK_EQ(parse("Sun Nov  6 08:49:37 1994"), 784111777);
    CHECK_EQ(parse("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
    CHECK_EQ(parse("Thu, 29 Feb 2024 23:59:59 GMT"), 1709251199);
    CHECK_EQ(parse("Tue, 19 Jan 2038 03:14:08 GMT"), 2147483648ll);
}

TEST(two_digits_of_a_year)
{
    CHECK_EQ(parse("Monday, 01-Jan-76 00:00:00 GMT"), 3345062400ll); /* 50 years ahead at most */
    CHECK_EQ(parse("Monday, 01-Jan-77 00:00:00 GMT"), 220924800);
}

TEST(what_is_none)
{
    static const char *const bad[] = {"",
                                      "0",
                                      "-1",
                                      "now",
                                      "Sun, 06 Nov 1994 08:49:37 UTC",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 6 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Noo 1994 08:49:37 GMT",
                                      "Sun, 00 Nov 1994 08:49:37 GMT",
                                      "Sun, 32 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:00:00 GMT",
                                      "Sun, 06 Nov 1994 08:60:37 GMT",
                                      "Sun, 06 Nov 19x4 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 GMT ",
                                      ", 06-Nov-94 08:49:37",
                                      "Sunday, 06-Nov-9408:49:37 GMT"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_EQ(parse(bad[i]), -1);
}

TEST(writing_and_back)
{
    char text[HTTP_DATE_BYTES];
    CHECK_STR(http_date_format(784111777, text), "Sun, 06 Nov 1994 08:49:37 GMT");
    for (int64_t s = 0; s < 4102444800ll; s += 86400 * 13 + 4711)
        CHECK_EQ(parse(http_date_format(s, text)), s);
}
