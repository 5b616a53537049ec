/* RFC 9111 as tables: what may be kept, how long it is fresh, what a request accepts. */
#include "base/http_cache.h"
#include "tests/unit/harness.h"

#define NOW 1000000
#define NO  HTTP_CACHE_NONE

static struct http_cache_control control(const char *text)
{
    struct http_cache_control c;
    http_cache_control_init(&c);
    http_cache_control_add(&c, text, strlen(text));
    return c;
}

TEST(directives)
{
    struct http_cache_control c =
        control("Max-Age=60 , NO-cache=\"a, b\",private, s-maxage=\"7\",x=\"y, no-store\"");
    CHECK(c.no_cache && c.private_ && !c.no_store);
    CHECK_EQ(c.max_age, 60);
    CHECK_EQ(c.s_maxage, 7);
    c = control("max-age=60, max-age=10");
    CHECK_EQ(c.max_age, 10);
    c = control("max-age=99999999999999999999");
    CHECK_EQ(c.max_age, HTTP_CACHE_MOST);
    c = control("max-age=-1");
    CHECK_EQ(c.max_age, 0);
    c = control("max-age");
    CHECK_EQ(c.max_age, 0);
    c = control("max-stale");
    CHECK_EQ(c.max_stale, HTTP_CACHE_MOST);
    c = control(",,=,= ,");
    CHECK(!c.no_store && c.max_age == NO);
    c = control("max-age=60, a=\"b, c");
    CHECK(c.no_store); /* who knows what the quotation hides */
    c = control("a=\"\\\"\", max-age=60");
    CHECK(!c.no_store && c.max_age == 60);
    c = control("proxy-revalidate, must-understand, only-if-cached, stale-if-error=5");
    CHECK(c.must_revalidate && c.must_understand && c.only_if_cached);
    CHECK_EQ(c.if_error, 5);
}

struct judged {
    const char *what, *control;
    unsigned status;
    bool authorized, cookie, validator, vary_any, request_no_store;
    int64_t expires, date; /* 0: none; relative to now + 1 */
    uint32_t age, valid;
    bool store;
    uint32_t fresh, its_age;
};

#define EXPIRES(n) (NOW + (n))

static const struct judged table[] = {
    {"nothing said", "", 200, .valid = NO},
    {"configured", "", 200, .valid = 9, .store = true, .fresh = 9},
    {"max-age", "max-age=5", 200, .valid = NO, .store = true, .fresh = 5},
    {"goes before configured", "max-age=5", 200, .valid = 9, .store = true, .fresh = 5},
    {"s-maxage first", "max-age=5, s-maxage=6", 200, .valid = NO, .store = true, .fresh = 6},
    {"Expires", "", 200, .expires = EXPIRES(30), .valid = NO, .store = true, .fresh = 30},
    {"Expires counts from Date", "", 200, .expires = EXPIRES(30), .date = NOW - 5, .valid = NO,
     .store = true, .fresh = 35, .its_age = 5},
    {"max-age goes before Expires", "max-age=1", 200, .expires = EXPIRES(30), .valid = NO,
     .store = true, .fresh = 1},
    {"Expires in the past", "", 200, .expires = EXPIRES(-1), .valid = 9},
    {"the past, with a validator", "", 200, .expires = EXPIRES(-1), .validator = true, .valid = 9,
     .store = true, .fresh = 0},
    {"no-store", "no-store, max-age=5", 200, .valid = 9},
    {"must-understand", "no-store, must-understand, max-age=5", 200, .valid = NO, .store = true,
     .fresh = 5},
    {"... what is not", "no-store, must-understand, max-age=5", 299, .valid = 9},
    {"no-store asked for", "max-age=5", 200, .request_no_store = true, .valid = 9},
    {"private", "private, max-age=5", 200, .valid = 9},
    {"private field", "private=\"x\", max-age=5", 200, .valid = 9},
    {"no-cache", "no-cache, max-age=5", 200, .valid = 9},
    {"no-cache with a validator", "no-cache, max-age=5", 200, .validator = true, .valid = NO,
     .store = true, .fresh = 0},
    {"cookie", "max-age=5", 200, .cookie = true, .valid = 9},
    {"Vary: *", "max-age=5", 200, .vary_any = true, .valid = 9},
    {"authorized", "max-age=5", 200, .authorized = true, .valid = 9},
    {"authorized, public", "public, max-age=5", 200, .authorized = true, .valid = 9, .store = true,
     .fresh = 5},
    {"authorized, s-maxage", "s-maxage=5", 200, .authorized = true, .valid = 9, .store = true,
     .fresh = 5},
    {"authorized, must-revalidate", "must-revalidate, max-age=5", 200, .authorized = true,
     .valid = 9, .store = true, .fresh = 5},
    {"interim", "max-age=5", 103, .valid = 9},
    {"a part", "max-age=5", 206, .valid = 9},
    {"a confirmation", "max-age=5", 304, .valid = 9},
    {"404", "max-age=5", 404, .valid = NO, .store = true, .fresh = 5},
    {"500", "max-age=5", 500, .valid = NO},
    {"500 configured", "", 500, .valid = 3, .store = true, .fresh = 3},
    {"older than its lifetime", "max-age=5", 200, .age = 5, .valid = NO, .its_age = 5},
    {"nearly", "max-age=5", 200, .age = 4, .valid = NO, .store = true, .fresh = 5, .its_age = 4},
    {"by its date", "max-age=5", 200, .date = NOW - 4, .age = 1, .valid = NO, .store = true,
     .fresh = 5, .its_age = 4},
    {"a date ahead", "max-age=5", 200, .date = NOW + 400, .valid = NO, .store = true, .fresh = 5},
    {"stale at once, but may stand in", "max-age=0, stale-if-error=9", 200, .valid = NO,
     .store = true},
};

static struct http_cache_verdict judge(const struct judged *j)
{
    struct http_cache_verdict v;
    struct http_cache_facts f = {.control = control(j->control),
                                 .status = j->status,
                                 .authorized = j->authorized,
                                 .request_no_store = j->request_no_store,
                                 .sets_cookie = j->cookie,
                                 .has_validator = j->validator,
                                 .vary_any = j->vary_any,
                                 .has_expires = j->expires != 0,
                                 .expires_s = j->expires,
                                 .has_date = j->date != 0,
                                 .date_s = j->date,
                                 .age_s = j->age,
                                 .now_s = NOW,
                                 .valid_s = j->valid};
    http_cache_judge(&f, &v);
    return v;
}

TEST(judging)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct http_cache_verdict v = judge(&table[i]);
        if (v.store != table[i].store || v.age_s != table[i].its_age ||
            (v.store && v.fresh_s != table[i].fresh))
            fprintf(stderr, "%s: store %d fresh %u age %u\n", table[i].what, v.store, v.fresh_s,
                    v.age_s);
        CHECK_EQ(v.store, table[i].store);
        CHECK_EQ(v.age_s, table[i].its_age);
        if (v.store)
            CHECK_EQ(v.fresh_s, table[i].fresh);
    }
}

TEST(standing_in)
{
    struct http_cache_facts f = {
        .status = 200, .valid_s = 5, .now_s = NOW, .if_error = 7, .while_revalidate = 8};
    struct http_cache_verdict v;
    f.control = control("");
    http_cache_judge(&f, &v);
    CHECK(v.if_error == 7 && v.while_revalidate == 8 && !v.must_revalidate);
    f.control = control("max-age=1, stale-if-error=0, stale-while-revalidate=3");
    http_cache_judge(&f, &v);
    CHECK(v.if_error == 0 && v.while_revalidate == 3);
    static const char *const strict[] = {"max-age=1, must-revalidate", "s-maxage=1",
                                         "max-age=1, proxy-revalidate, stale-if-error=9"};
    for (size_t i = 0; i < ARRAY_LEN(strict); i++) {
        f.control = control(strict[i]);
        http_cache_judge(&f, &v);
        CHECK(v.if_error == 0 && v.while_revalidate == 0 && v.must_revalidate);
    }
}

TEST(what_a_request_accepts)
{
    static const struct {
        const char *said;
        uint64_t age, fresh;
        bool must_revalidate, good;
    } rows[] = {{"", 4, 5, false, true},
                {"", 5, 5, false, false},
                {"no-cache", 0, 5, false, false},
                {"max-age=3", 3, 5, false, true},
                {"max-age=3", 4, 5, false, false},
                {"max-age=0", 0, 5, false, false},
                {"min-fresh=2", 2, 5, false, true},
                {"min-fresh=2", 3, 5, false, false},
                {"max-stale=2", 6, 5, false, true},
                {"max-stale=2", 7, 5, false, false},
                {"max-stale", 7000, 5, false, true},
                {"max-stale", 7000, 5, true, false},
                {"max-age=1, max-stale", 7, 5, false, false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_cache_control c = control(rows[i].said);
        CHECK_EQ(http_cache_fresh_for(&c, rows[i].age, rows[i].fresh, rows[i].must_revalidate),
                 rows[i].good);
    }
}

static bool matches(const char *list, const char *etag)
{
    return http_cache_etag_matches(list, strlen(list), etag, strlen(etag));
}

TEST(entity_tags)
{
    CHECK(matches("\"a\"", "\"a\""));
    CHECK(matches("W/\"a\"", "\"a\""));
    CHECK(matches("\"b\" , W/\"a\"", "W/\"a\""));
    CHECK(matches("*", ""));
    CHECK(matches("\"x,y\"", "\"x,y\""));
    CHECK(!matches("\"x,y\"", "\"x\""));
    CHECK(!matches("\"a\"", "\"A\""));
    CHECK(!matches("", "\"a\""));
    CHECK(!matches("\"a\"", ""));
}

TEST(ranges)
{
    static const struct {
        const char *text;
        uint64_t body;
        enum http_cache_range result;
        uint64_t first, count;
    } rows[] = {{"bytes=0-0", 10, HTTP_RANGE_OK, 0, 1},
                {"bytes=3-", 10, HTTP_RANGE_OK, 3, 7},
                {"BYTES=3-99", 10, HTTP_RANGE_OK, 3, 7},
                {"bytes=-3", 10, HTTP_RANGE_OK, 7, 3},
                {"bytes=-30", 10, HTTP_RANGE_OK, 0, 10},
                {"bytes=-0", 10, HTTP_RANGE_OUTSIDE, 0, 0},
                {"bytes=10-", 10, HTTP_RANGE_OUTSIDE, 0, 0},
                {"bytes=0-", 0, HTTP_RANGE_OUTSIDE, 0, 0},
                {"bytes=2-1", 10, HTTP_RANGE_IGNORE, 0, 0},
                {"bytes=0-1,3-4", 10, HTTP_RANGE_IGNORE, 0, 0},
                {"bytes=-", 10, HTTP_RANGE_IGNORE, 0, 0},
                {"bytes=", 10, HTTP_RANGE_IGNORE, 0, 0},
                {"bytes=a-b", 10, HTTP_RANGE_IGNORE, 0, 0},
                {"pages=1-2", 10, HTTP_RANGE_IGNORE, 0, 0},
                {"bytes=99999999999999999999-", 10, HTTP_RANGE_IGNORE, 0, 0}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t first = 0, count = 0;
        CHECK_EQ(http_cache_range(rows[i].text, strlen(rows[i].text), rows[i].body, &first, &count),
                 rows[i].result);
        CHECK_EQ(first, rows[i].first);
        CHECK_EQ(count, rows[i].count);
    }
}
