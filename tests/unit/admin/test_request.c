/* What handlers get to see: decoding, queries, heads. */
#include "tests/unit/harness.h"

#include "admin/request.h"

TEST(decode_takes_percent_and_plain_bytes)
{
    char out[32];
    CHECK_EQ(request_decode("app:b%31%2Fx", 12, out, sizeof(out)), 0);
    CHECK_STR(out, "app:b1/x");
    CHECK_EQ(request_decode("", 0, out, sizeof(out)), 0);
    CHECK_STR(out, "");
}

TEST(decode_refuses_what_is_malformed)
{
    static const char *const bad[] = {"%", "%4", "%zz", "a%0", "%00", "a%0ab", "%7f", "%-1"};
    char out[32];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_EQ(request_decode(bad[i], strlen(bad[i]), out, sizeof(out)), -1);
}

TEST(decode_refuses_what_does_not_fit)
{
    char out[4];
    CHECK_EQ(request_decode("abc", 3, out, sizeof(out)), 0);
    CHECK_EQ(request_decode("abcd", 4, out, sizeof(out)), -1);
    CHECK_EQ(request_decode("", 0, out, 0), -1);
}

TEST(query_finds_whole_names)
{
    struct request q = {.query = "sincerely=1&since=7&empty=&flag&text=a%20b"};
    char out[16];
    int64_t n = 0;
    CHECK_EQ(request_query_int(&q, "since", &n), 1);
    CHECK_EQ(n, 7);
    CHECK_EQ(request_query(&q, "empty", out, sizeof(out)), 1);
    CHECK_STR(out, "");
    CHECK_EQ(request_query(&q, "flag", out, sizeof(out)), 1);
    CHECK_EQ(request_query(&q, "text", out, sizeof(out)), 1);
    CHECK_STR(out, "a b");
    CHECK_EQ(request_query(&q, "sinc", out, sizeof(out)), 0);
    CHECK_EQ(request_query(&q, "nothing", out, sizeof(out)), 0);
}

TEST(query_numbers_are_whole_numbers)
{
    static const char *const bad[] = {
        "n=", "n=x", "n=1x", "n=+1", "n=%201", "n=1.5", "n=99999999999999999999"};
    int64_t n = 5;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct request q = {.query = bad[i]};
        CHECK_EQ(request_query_int(&q, "n", &n), -1);
    }
    CHECK_EQ(n, 5);
    struct request q = {.query = "n=-20"};
    CHECK_EQ(request_query_int(&q, "n", &n), 1);
    CHECK_EQ(n, -20);
}

static struct request from_text(const char *text, struct arena *arena)
{
    static struct http1_head head;
    const struct http1_limits limits = {.head_bytes = 4096, .headers = 50};
    struct request q;
    http1_head_reset(&head);
    CHECK_EQ(http1_parse_request(&head, text, (uint32_t)strlen(text), &limits), HTTP1_DONE);
    request_from_head(&q, &head, text, arena);
    return q;
}

TEST(a_head_becomes_a_request)
{
    struct arena arena;
    arena_init(&arena);
    struct request q =
        from_text("POST /lb/x?a=1 HTTP/1.1\r\nHost: localhost:99\r\nOrigin: http://e\r\n"
                  "Authorization: Bearer t\r\nContent-Length: 0\r\n\r\n",
                  &arena);
    CHECK_EQ(q.method, REQUEST_POST);
    CHECK(!q.head);
    CHECK_STR(q.path, "/lb/x");
    CHECK_STR(q.query, "a=1");
    CHECK_STR(q.host, "localhost:99");
    CHECK_STR(q.origin, "http://e");
    CHECK_STR(q.authorization, "Bearer t");
    CHECK(q.accept == NULL);
    arena_free(&arena);
}

TEST(head_is_get_without_a_body_and_methods_are_case_sensitive)
{
    struct arena arena;
    arena_init(&arena);
    struct request q = from_text("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", &arena);
    CHECK_EQ(q.method, REQUEST_GET);
    CHECK(q.head);
    q = from_text("get / HTTP/1.1\r\nHost: x\r\n\r\n", &arena);
    CHECK_EQ(q.method, REQUEST_OTHER);
    q = from_text("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", &arena);
    CHECK_EQ(q.method, REQUEST_DELETE);
    arena_free(&arena);
}
