/* Limits, resumption in linear time, split-invariance under mutation, and looking fields up. */
#include "base/http1_int.h"
#include "tests/unit/base/http1_feed.h"

#define HOST "Host: a.test\r\n"

static struct outcome with_limits(const char *text, uint32_t head_bytes, uint32_t headers)
{
    struct feed f = {.limits = {.head_bytes = head_bytes, .headers = headers}};

    return feed_every_way(f, text, (uint32_t)strlen(text));
}

TEST(head_limit_is_exact)
{
    const char *text = "GET /path HTTP/1.1\r\n" HOST "X: y\r\n\r\n";
    uint32_t len = (uint32_t)strlen(text), line = 20;

    for (uint32_t limit = 0; limit <= len + 2; limit++) {
        unsigned want = limit < line ? 414 : limit < len ? 431 : 0;
        CHECK_EQ(with_limits(text, limit, 10).status, want);
    }
}

TEST(head_limit_counts_the_leading_empty_line)
{
    const char *text = "\r\nGET / HTTP/1.1\r\n" HOST "\r\n";
    uint32_t len = (uint32_t)strlen(text);

    CHECK_EQ(with_limits(text, len, 10).status, 0);
    CHECK_EQ(with_limits(text, len - 1, 10).status, 431);
}

TEST(a_wrong_line_inside_the_limit_is_400_and_beyond_it_431)
{
    const char *text = "GET / HTTP/1.1\r\n" HOST "bad line\r\n\r\n";
    uint32_t bad_end = (uint32_t)strlen(text) - 2;

    CHECK_EQ(with_limits(text, bad_end, 10).status, 400);
    CHECK_EQ(with_limits(text, bad_end - 1, 10).status, 431);
}

TEST(incomplete_is_refused_only_when_the_limit_is_reached)
{
    const char *text = "GET / HTTP/1.1\r\n" HOST "X: yyy";
    uint32_t len = (uint32_t)strlen(text);

    CHECK_EQ(with_limits(text, len + 1, 10).result, HTTP1_MORE);
    CHECK_EQ(with_limits(text, len, 10).status, 431);
    CHECK_EQ(with_limits("GET /", 5, 10).status, 414);
    CHECK_EQ(with_limits("GET /", 6, 10).result, HTTP1_MORE);
}

TEST(header_count_limit_is_exact)
{
    const char *text = "GET / HTTP/1.1\r\n" HOST "A: 1\r\nB: 2\r\n\r\n";

    CHECK_EQ(with_limits(text, 4096, 3).status, 0);
    CHECK_EQ(with_limits(text, 4096, 2).status, 431);
    CHECK_EQ(with_limits(text, 4096, 0).status, 431);
}

TEST(header_count_never_exceeds_the_capacity)
{
    char text[HTTP1_HEADERS_MAX * 8 + 64] = "GET / HTTP/1.1\r\n" HOST;

    for (unsigned i = 1; i < HTTP1_HEADERS_MAX; i++) {
        strcat(text, "A: b\r\n");
    }
    size_t full = strlen(text);
    strcat(text, "\r\n");
    CHECK_EQ(with_limits(text, 65536, 100000).head.count, HTTP1_HEADERS_MAX);
    strcpy(text + full, "A: b\r\n\r\n");
    CHECK_EQ(with_limits(text, 65536, 100000).status, 431);
}

TEST(one_leading_empty_line)
{
    const char *text = "\r\nGET /p HTTP/1.1\r\n" HOST "\r\n";
    static struct outcome o;

    o = feed_request(text);
    CHECK_EQ(o.result, HTTP1_DONE);
    CHECK_EQ(o.head.head_bytes, strlen(text));
    CHECK_EQ(o.head.first_line_bytes, 17);
    CHECK_EQ(o.head.method.off, 2);
    CHECK(feed_span_is(text, o.head.path, "/p"));
    CHECK_EQ(feed_request("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n").status, 400);
    CHECK_EQ(feed_request("\nGET / HTTP/1.1\r\n" HOST "\r\n").status, 400);
    CHECK_EQ(feed_request("\rGET / HTTP/1.1\r\n" HOST "\r\n").status, 400);
    CHECK_EQ(feed_request("\r\nG\x01\r\n").status, 400);
    CHECK_EQ(feed_request("\r\n").result, HTTP1_MORE);
    CHECK_EQ(feed_response("\r\nHTTP/1.1 200 OK\r\n\r\n").result, HTTP1_ERROR);
}

TEST(another_protocol_is_refused_at_its_first_byte)
{
    CHECK_EQ(feed_request("\x16\x03\x01").status, 400);
    CHECK_EQ(feed_request("\x80").status, 400);
    CHECK_EQ(feed_request(" ").status, 400);
    CHECK_EQ(feed_request("\r\n\x16").status, 400);
    CHECK_EQ(feed_response("SSH-2.0").result, HTTP1_ERROR);
    CHECK_EQ(feed_response("\x15\x03").result, HTTP1_ERROR);
}

/* Wrong bytes in a line that never ends are not judged: byte by byte they could not be told from a
 * slow line. */
TEST(a_line_is_judged_when_it_is_complete)
{
    CHECK_EQ(feed_request("GET / HTTP/1.1\r\n" HOST "X\x01").result, HTTP1_MORE);
    CHECK_EQ(feed_request("GET / HTTP/1.1\r\n" HOST "X\x01\n").status, 400);
    CHECK_EQ(feed_request("GET / HTTP/1.1\r\n" HOST "\n").status, 400);
    CHECK_EQ(feed_request("GET / HTTP/1.1\r\n" HOST "\r").result, HTTP1_MORE);
    CHECK_EQ(feed_request("GET / HTTP/1.1\r\n" HOST "X: y\n").status, 400);
    CHECK_EQ(feed_request("GET / HTTP/1.1\n").status, 400);
    CHECK_EQ(feed_request("GET\n").status, 400);
}

TEST(pipelined_requests_are_left_alone)
{
    const char *text = "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n\x01 broken";
    static struct outcome o;

    o = feed_request(text);
    CHECK_EQ(o.result, HTTP1_DONE);
    CHECK(feed_span_is(text, o.head.path, "/1"));
    CHECK_EQ(memcmp(text + o.head.head_bytes, "GET /2", 6), 0);
}

TEST(the_verdict_is_kept)
{
    static struct http1_head h;
    const char *good = "GET / HTTP/1.1\r\n" HOST "\r\n",
               *bad = "GET / HTTP/1.1\r\n" HOST ": x\r\n\r\n";

    http1_head_reset(&h);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(http1_parse_request(&h, good, (uint32_t)strlen(good), &feed_limits), HTTP1_DONE);
    }
    http1_head_reset(&h);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(http1_parse_request(&h, bad, (uint32_t)strlen(bad), &feed_limits), HTTP1_ERROR);
        CHECK_EQ(h.status, 400);
    }
    http1_head_reset(&h);
    CHECK_EQ(http1_parse_request(&h, good, (uint32_t)strlen(good), &feed_limits), HTTP1_DONE);
    CHECK_EQ(h.count, 1);
    CHECK_STR(h.error, NULL);
}

/* Four million calls: looking at the line again each time would take minutes and run into the
 * test's deadline. */
TEST(byte_by_byte_is_linear)
{
    enum { LEN = 4000000 };
    static struct http1_head h;
    struct http1_limits limits = {.head_bytes = LEN + 100, .headers = 10};
    const char *start = "GET / HTTP/1.1\r\n" HOST "X: ", *end = "\r\n\r\n";
    char *text = malloc(LEN);

    CHECK(text != NULL);
    memset(text, 'y', LEN);
    memcpy(text, start, strlen(start));
    memcpy(text + LEN - 4, end, 4);
    http1_head_reset(&h);
    for (uint32_t n = 0; n < LEN; n++) {
        CHECK_EQ(http1_parse_request(&h, text, n, &limits), HTTP1_MORE);
    }
    CHECK_EQ(http1_parse_request(&h, text, LEN, &limits), HTTP1_DONE);
    CHECK_EQ(h.head_bytes, LEN);
    free(text);
}

static const char *const seeds[] = {
    "GET /index.html?a=b HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\nConnection: keep-alive, "
    "x-y\r\nX-Y: z\r\n\r\n",
    "\r\nPOST http://b.test/x HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: "
    "a.test\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\nGET /",
    "HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 3\r\n\r\nabc",
    "HTTP/1.0 404 Not Found\r\nConnection: close\r\n\r\n",
    "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
};

static uint32_t mutate(char *text, uint32_t len, unsigned *seed)
{
    static const char spice[] = "\r\n\n\0\t :,;\"\\\x7f\xff/0AazZ?#%[";

    for (unsigned n = feed_random(seed) % 4; n > 0; n--) {
        uint32_t at = feed_random(seed) % len;
        switch (feed_random(seed) % 3) {
        case 0: text[at] = spice[feed_random(seed) % sizeof(spice)]; break;
        case 1: memmove(text + at, text + at + 1, --len - at); break;
        default:
            memmove(text + at + 1, text + at, len++ - at);
            text[at] = spice[feed_random(seed) % sizeof(spice)];
        }
    }
    return len;
}

TEST(mutated_messages_have_one_outcome)
{
    unsigned seed = 7, done = 0, refused = 0;
    char text[512];

    for (unsigned i = 0; i < 3000; i++) {
        const char *from = seeds[i % ARRAY_LEN(seeds)];
        struct feed f = {.limits = feed_limits, .response = from[0] == 'H'};
        uint32_t len = (uint32_t)strlen(from);
        memcpy(text, from, len);
        len = mutate(text, len, &seed);
        enum http1_result r = feed_every_way(f, text, len).result;
        done += r == HTTP1_DONE;
        refused += r == HTTP1_ERROR;
    }
    CHECK(done > 300 && refused > 300);
}

static const struct {
    const char *name;
    enum http1_header_id id;
} known[] = {
    {"host", HTTP1_H_HOST},
    {"connection", HTTP1_H_CONNECTION},
    {"content-length", HTTP1_H_CONTENT_LENGTH},
    {"transfer-encoding", HTTP1_H_TRANSFER_ENCODING},
    {"te", HTTP1_H_TE},
    {"trailer", HTTP1_H_TRAILER},
    {"upgrade", HTTP1_H_UPGRADE},
    {"keep-alive", HTTP1_H_KEEP_ALIVE},
    {"proxy-connection", HTTP1_H_PROXY_CONNECTION},
    {"proxy-authenticate", HTTP1_H_PROXY_AUTHENTICATE},
    {"proxy-authorization", HTTP1_H_PROXY_AUTHORIZATION},
    {"expect", HTTP1_H_EXPECT},
    {"x-forwarded-for", HTTP1_H_X_FORWARDED_FOR},
    {"x-forwarded-proto", HTTP1_H_X_FORWARDED_PROTO},
    {"x-forwarded-host", HTTP1_H_X_FORWARDED_HOST},
    {"x-real-ip", HTTP1_H_X_REAL_IP},
    {"x-request-id", HTTP1_H_X_REQUEST_ID},
    {"accept", HTTP1_H_ACCEPT},
    {"accept-encoding", HTTP1_H_ACCEPT_ENCODING},
    {"authorization", HTTP1_H_AUTHORIZATION},
    {"cookie", HTTP1_H_COOKIE},
    {"set-cookie", HTTP1_H_SET_COOKIE},
    {"date", HTTP1_H_DATE},
    {"server", HTTP1_H_SERVER},
    {"user-agent", HTTP1_H_USER_AGENT},
    {"referer", HTTP1_H_REFERER},
    {"origin", HTTP1_H_ORIGIN},
    {"location", HTTP1_H_LOCATION},
    {"via", HTTP1_H_VIA},
    {"cache-control", HTTP1_H_CACHE_CONTROL},
    {"forwarded", HTTP1_H_FORWARDED},
};

/* The id of a name standing in a head: with plenty of bytes behind it, and with as few as a head
 * allows. */
static void check_id(const char *name, enum http1_header_id id)
{
    static struct outcome o;
    char text[256];
    int n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n%s:7\r\n\r\n", name);

    fprintf(stderr, "%s\n", name);
    o = feed_message(&(struct feed){.limits = feed_limits, .response = true, .is_head = true}, text,
                     (uint32_t)n);
    CHECK(o.result == HTTP1_DONE || id == HTTP1_H_TRANSFER_ENCODING);
    CHECK_EQ(o.head.headers[0].id, id);
    CHECK_EQ(o.head.present, id == HTTP1_H_OTHER ? 0 : UINT64_C(1) << id);
    CHECK_EQ(http1_name_id(name, strlen(name)), id);
}

TEST(known_names_in_any_case)
{
    CHECK_EQ(ARRAY_LEN(known), HTTP1_H_COUNT - 1);
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        char name[32];
        size_t len = strlen(known[i].name);
        for (unsigned way = 0; way < 3; way++) {
            snprintf(name, sizeof name, "%s", known[i].name);
            for (size_t k = 0; k < len; k++) {
                bool upper = way == 1 || (way == 2 && k % 2 == 0);
                name[k] = upper && name[k] >= 'a' ? (char)(name[k] - 32) : name[k];
            }
            check_id(name, known[i].id);
        }
    }
}

TEST(near_names_are_other)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        char name[32];
        size_t len = strlen(known[i].name);
        for (size_t k = 0; k < len; k++) {
            snprintf(name, sizeof name, "%s", known[i].name);
            name[k] = name[k] == '-' ? '_' : (char)(name[k] ^ 0x40);
            name[k] = http1_is(name[k], HTTP1_C_TOKEN) ? name[k] : '!';
            check_id(name, HTTP1_H_OTHER);
        }
        snprintf(name, sizeof name, "%sx", known[i].name);
        check_id(name, HTTP1_H_OTHER);
        snprintf(name, sizeof name, "%.*s", (int)len - 1, known[i].name);
        if (len > 2 && strcmp(name, "te") != 0) {
            check_id(name, HTTP1_H_OTHER);
        }
    }
}

TEST(finding_fields)
{
    const char *text =
        "GET / HTTP/1.1\r\n" HOST "X-A: 1\r\nCookie: a\r\nx-a: 2\r\nCookie: b\r\nX_A: 3\r\n\r\n";
    static struct outcome o;

    o = feed_request(text);
    CHECK(http1_find(&o.head, HTTP1_H_COOKIE) == &o.head.headers[2]);
    CHECK(http1_find(&o.head, HTTP1_H_DATE) == NULL);
    CHECK(http1_find(&o.head, HTTP1_H_OTHER) == NULL);
    CHECK(http1_find_name(&o.head, text, "x-A", 3) == &o.head.headers[1]);
    CHECK(http1_find_name(&o.head, text, "X_a", 3) == &o.head.headers[5]);
    CHECK(http1_find_name(&o.head, text, "COOKIE", 6) == &o.head.headers[2]);
    CHECK(http1_find_name(&o.head, text, "x-b", 3) == NULL);
    CHECK(http1_find_name(&o.head, text, "x", 1) == NULL);
    CHECK(http1_find_name(&o.head, text, "", 0) == NULL);
    CHECK(http1_find_name(&o.head, text, "x\r", 2) == NULL);
}

TEST(tokens)
{
    CHECK(http1_is_token("GET", 3));
    CHECK(http1_is_token("a-very-long-token-over-sixteen-bytes", 36));
    CHECK(!http1_is_token("", 0));
    CHECK(!http1_is_token("a b", 3));
    CHECK(!http1_is_token("a:", 2));
    CHECK(!http1_is_token("\0", 1));
}
