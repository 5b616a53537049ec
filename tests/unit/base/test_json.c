#include "tests/unit/harness.h"

#include <math.h>
#include "base/json.h"

/* The text of one value, written by a statement. */
#define WRITTEN(statement)                                                                         \
    ({                                                                                             \
        struct json j;                                                                             \
        static char copy_[8192];                                                                   \
        json_init(&j);                                                                             \
        statement;                                                                                 \
        snprintf(copy_, sizeof copy_, "%s", json_finish(&j, NULL));                                \
        json_free(&j);                                                                             \
        copy_;                                                                                     \
    })

TEST(scalars)
{
    CHECK_STR(WRITTEN(json_null(&j)), "null");
    CHECK_STR(WRITTEN(json_bool(&j, true)), "true");
    CHECK_STR(WRITTEN(json_bool(&j, false)), "false");
    CHECK_STR(WRITTEN(json_uint(&j, UINT64_MAX)), "18446744073709551615");
    CHECK_STR(WRITTEN(json_int(&j, INT64_MIN)), "-9223372036854775808");
    CHECK_STR(WRITTEN(json_string(&j, NULL)), "null");
    CHECK_STR(WRITTEN(json_string(&j, "")), "\"\"");
}

TEST(doubles)
{
    CHECK_STR(WRITTEN(json_double(&j, 0)), "0");
    CHECK_STR(WRITTEN(json_double(&j, 0.25)), "0.25");
    CHECK_STR(WRITTEN(json_double(&j, 1.0 / 3)), "0.333333");
    CHECK_STR(WRITTEN(json_double(&j, -1e300)), "-1e+300");
    CHECK_STR(WRITTEN(json_double(&j, NAN)), "null");
    CHECK_STR(WRITTEN(json_double(&j, INFINITY)), "null");
}

TEST(nesting_and_commas)
{
    const char *text = WRITTEN({
        json_object_begin(&j);
        json_kv_uint(&j, "a", 1);
        json_key(&j, "b");
        json_array_begin(&j);
        json_array_begin(&j);
        json_array_end(&j);
        json_object_begin(&j);
        json_object_end(&j);
        json_uint(&j, 2);
        json_array_end(&j);
        json_kv_string(&j, "c", "d");
        json_kv_bool(&j, "e", false);
        json_kv_double(&j, "f", 1.5);
        json_object_end(&j);
    });
    CHECK_STR(text, "{\"a\":1,\"b\":[[],{},2],\"c\":\"d\",\"e\":false,\"f\":1.5}");
}

TEST(a_second_container_starts_without_a_comma)
{
    const char *text = WRITTEN({
        json_array_begin(&j);
        for (unsigned i = 0; i < 2; i++) {
            json_array_begin(&j);
            json_uint(&j, i);
            json_array_end(&j);
        }
        json_array_end(&j);
    });
    CHECK_STR(text, "[[0],[1]]");
}

TEST(strings_are_escaped)
{
    CHECK_STR(WRITTEN(json_string(&j, "a\"b\\c/d")), "\"a\\\"b\\\\c/d\"");
    CHECK_STR(WRITTEN(json_string(&j, "\b\f\n\r\t\x01\x1f\x7f")),
              "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
    CHECK_STR(WRITTEN(json_string_n(&j, "a\0b", 3)), "\"a\\u0000b\"");
    CHECK_STR(WRITTEN({
                  json_object_begin(&j);
                  json_kv_uint(&j, "\"k\n", 1);
                  json_object_end(&j);
              }),
              "{\"\\\"k\\n\":1}");
}

#define BAD "\xef\xbf\xbd"

static const struct {
    const char *in, *want;
} utf8[] = {
    {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
    {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"}, /* the last code point */
    {"a\x80z", "a" BAD "z"},                  /* a continuation alone */
    {"\xc0\xaf", BAD BAD},                    /* overlong */
    {"\xe0\x80\xaf", BAD BAD BAD},            /* overlong */
    {"\xf0\x80\x80\xaf", BAD BAD BAD BAD},    /* overlong */
    {"\xed\xa0\x80", BAD BAD BAD},            /* a surrogate */
    {"\xf4\x90\x80\x80", BAD BAD BAD BAD},    /* beyond */
    {"\xff", BAD},
    {"\xc3", BAD}, /* cut short */
    {"\xe2\x82", BAD BAD},
    {"\xe2\x82z", BAD BAD "z"},
    {"\xc3\xa9\xc3", "\xc3\xa9" BAD},
};

TEST(what_is_not_utf8_is_replaced)
{
    for (size_t i = 0; i < ARRAY_LEN(utf8); i++) {
        char want[64];
        snprintf(want, sizeof want, "\"%s\"", utf8[i].want);
        CHECK_STR(WRITTEN(json_string(&j, utf8[i].in)), want);
    }
}

TEST(a_sequence_cut_by_the_length_is_not_read_on)
{
    CHECK_STR(WRITTEN(json_string_n(&j, "\xe2\x82\xac", 2)), "\"" BAD BAD "\"");
}

TEST(the_buffer_grows)
{
    struct json j;
    size_t len;
    json_init(&j);
    json_array_begin(&j);
    for (unsigned i = 0; i < 100000; i++)
        json_uint(&j, i % 10);
    json_array_end(&j);
    const char *text = json_finish(&j, &len);
    CHECK_EQ(len, 200001);
    CHECK_EQ(strlen(text), len);
    for (size_t i = 0; i < 100000; i++)
        CHECK_EQ(text[1 + 2 * i], (char)('0' + i % 10));
    json_free(&j);
    CHECK(j.buf == NULL);
}
