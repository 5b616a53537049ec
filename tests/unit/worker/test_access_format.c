/* Lines of the access log: what a client sends cannot forge one. */
#include "tests/unit/harness.h"

#include <jansson.h>
#include <string.h>
#include "worker/access_format.h"

static char line[ACCESS_LINE_BYTES + 1];

static struct access_text text(const char *s)
{
    return (struct access_text){s, (uint32_t)strlen(s)};
}

/* What the two steps are given. */
struct both {
    struct access_head head;
    struct access_line end;
    const char *user; /* NULL: none */
};

static struct both usual(void)
{
    return (struct both){.head = {.request_id = text("id-1"),
                                  .method = text("GET"),
                                  .host = text("a.example"),
                                  .target = text("/x?y=1"),
                                  .user_agent = text("curl/8"),
                                  .client = text("192.0.2.1"),
                                  .listener = text("web"),
                                  .protocol = text("HTTP/1.1")},
                         .end = {.wall_ms = 1769862896789,
                                 .pool = text("app"),
                                 .backend = text("b1"),
                                 .termination = text("finished"),
                                 .status = 200,
                                 .attempts = 1,
                                 .bytes_in = 10,
                                 .bytes_out = 20,
                                 .duration_us = 1234567,
                                 .backend_us = 89}};
}

static const char *format(enum conf_access_format f, const struct both *l)
{
    static struct access_parts parts;
    access_format_head(f, &l->head, &parts);
    if (l->user)
        access_format_user(text(l->user), &parts);
    CHECK(access_format_bytes(&parts) <= sizeof parts.text);
    size_t len = access_format(&parts, &l->end, line);
    CHECK(len > 0 && len <= ACCESS_LINE_BYTES);
    CHECK(line[len - 1] == '\n');
    CHECK(memchr(line, '\n', len) == line + len - 1); /* one line */
    line[len] = '\0';
    return line;
}

TEST(each_format)
{
    struct both l = usual();
    CHECK_STR(format(ACCESS_COMMON, &l),
              "192.0.2.1 - - [31/Jan/2026:12:34:56 +0000] \"GET /x?y=1 HTTP/1.1\" 200 20\n");
    CHECK_STR(format(ACCESS_COMBINED, &l),
              "192.0.2.1 - - [31/Jan/2026:12:34:56 +0000] \"GET /x?y=1 HTTP/1.1\" 200 20 \"-\" "
              "\"curl/8\"\n");
    CHECK_STR(
        format(ACCESS_JSON, &l),
        "{\"time\":\"2026-01-31T12:34:56.789Z\",\"request_id\":\"id-1\",\"client\":\"192.0.2.1\","
        "\"listener\":\"web\",\"method\":\"GET\",\"host\":\"a.example\",\"path\":\"/x?y=1\","
        "\"protocol\":\"HTTP/1.1\",\"status\":200,\"bytes_in\":10,\"bytes_out\":20,"
        "\"duration_ms\":1234.567,\"pool\":\"app\",\"backend\":\"b1\",\"backend_ms\":0.089,"
        "\"attempts\":1,\"termination\":\"finished\",\"tls\":null,\"user_agent\":\"curl/8\","
        "\"referer\":null}\n");
}

TEST(who_it_says_it_is)
{
    struct both l = usual();
    l.user = "alice";
    CHECK(strncmp(format(ACCESS_COMMON, &l), "192.0.2.1 - alice [31/", 22) == 0);
    CHECK(strstr(format(ACCESS_JSON, &l), "\"referer\":null,\"user\":\"alice\"}\n") != NULL);
    l.user = "a [b] \"c\n\xc3\xa9"; /* not in quotes: a space would begin the next field */
    CHECK(strncmp(format(ACCESS_COMBINED, &l),
                  "192.0.2.1 - a\\x20[b]\\x20\\x22c\\x0a\\xc3\\xa9 [31/", 46) == 0);
    CHECK(strstr(format(ACCESS_JSON, &l), "\"user\":\"a [b] \\\"c\\u000a\xc3\xa9\"}\n") != NULL);
    l.user = "";
    CHECK(strncmp(format(ACCESS_COMMON, &l), "192.0.2.1 - - [31/", 18) == 0);
}

TEST(what_is_not_there)
{
    struct both l = {.head = {.client = text("unix")}, .end = {.backend_us = UINT64_MAX}};
    CHECK_STR(format(ACCESS_COMBINED, &l),
              "unix - - [01/Jan/1970:00:00:00 +0000] \"-\" - 0 \"-\" \"-\"\n");
    CHECK(strstr(format(ACCESS_JSON, &l), "\"backend_ms\":null") != NULL);
}

static json_t *parsed(const struct both *l)
{
    json_error_t error;
    json_t *root = json_loads(format(ACCESS_JSON, l), JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fprintf(stderr, "%s: %s\n", error.text, line);
    CHECK(root != NULL);
    return root;
}

TEST(nothing_can_end_a_string_or_a_line)
{
    struct both l = usual();
    l.head.user_agent = text("a\"b\\c\nd\re\tf\x7fg\x01h");
    CHECK(strstr(format(ACCESS_COMBINED, &l), "\"a\\x22b\\x5cc\\x0ad\\x0de\\x09f\\x7fg\\x01h\"\n"));
    json_t *root = parsed(&l);
    CHECK_STR(json_string_value(json_object_get(root, "user_agent")), l.head.user_agent.at);
    json_decref(root);
}

TEST(utf8_stays_and_what_is_none_is_escaped)
{
    struct both l = usual();
    l.head.user_agent = text("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    CHECK(strstr(format(ACCESS_JSON, &l), "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"") != NULL);
    CHECK(strstr(format(ACCESS_COMMON, &l), "\xc3") == NULL);
    static const char *const bad[] = {"\x80",         "\xc3",
                                      "\xc0\x80",     "\xed\xa0\x80",
                                      "\xe0\x80\x80", "\xf5\x80\x80\x80",
                                      "\xff",         "\xf0\x80\x80\x80"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        l.head.user_agent = text(bad[i]);
        json_decref(parsed(&l));
        CHECK(strstr(line, "\\u00") != NULL);
    }
}

TEST(each_byte_at_each_place)
{
    struct both l = usual();
    for (unsigned byte = 1; byte < 256; byte++)
        for (unsigned at = 0; at < 50; at++) {
            char agent[51], escaped[8];
            memset(agent, 'a', 50);
            agent[50] = '\0';
            agent[at] = (char)byte;
            bool stays = byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
            snprintf(escaped, sizeof escaped, stays ? "%c" : "\\x%02x", byte);
            l.head.user_agent = text(agent);
            format(ACCESS_COMBINED, &l);
            const char *shown = strstr(line, "\"-\" \"") + 5;
            CHECK(strncmp(shown, agent, at) == 0);
            CHECK(strncmp(shown + at, escaped, strlen(escaped)) == 0);
            CHECK(strncmp(shown + at + strlen(escaped), agent + at + 1, 49 - at) == 0);
            json_t *root = parsed(&l);
            CHECK(byte >= 0x80 ||
                  strcmp(json_string_value(json_object_get(root, "user_agent")), agent) == 0);
            json_decref(root);
        }
}

/* The longest of everything, of bytes that grow most. */
TEST(any_line_fits)
{
    char *large = calloc(1, 70001);
    char *words = malloc(70000);
    memset(large, '\xff', 70000);
    memset(words, 'w', 70000);
    for (int i = 0; i < 3; i++) {
        struct access_text most = {large, 70000}, word = {words, 70000};
        char name[64] = "";
        memset(name, 'n', 63);
        struct both l = {.user = large,
                         .head = {.request_id = most,
                                  .method = word,
                                  .host = word,
                                  .target = most,
                                  .user_agent = most,
                                  .referer = most,
                                  .client = text(name),
                                  .listener = text(name),
                                  .protocol = text(name)},
                         .end = {.wall_ms = UINT64_MAX / 1000000,
                                 .trace_id = most,
                                 .pool = text(name),
                                 .backend = text(name),
                                 .termination = text(name),
                                 .tls = text(name),
                                 .status = UINT32_MAX,
                                 .attempts = UINT32_MAX,
                                 .bytes_in = INT64_MAX,
                                 .bytes_out = INT64_MAX,
                                 .duration_us = UINT64_MAX - 1,
                                 .backend_us = UINT64_MAX - 1}};
        format(ACCESS_COMBINED, &l);
        format(ACCESS_COMMON, &l);
        json_decref(parsed(&l));
        memset(large, i == 0 ? '"' : 'a', 70000);
    }
    free(words);
    free(large);
}
