/* The part of a request that decides where it goes. */
#include <arpa/inet.h>
#include "base/key.h"
#include "tests/unit/harness.h"

static const uint8_t client[4] = {192, 0, 2, 1};

static struct http1_head head;
static char text[4096];

static void parse(const char *request)
{
    static const struct http1_limits limits = {4096, HTTP1_HEADERS_MAX};
    snprintf(text, sizeof text, "%s", request);
    http1_head_reset(&head);
    CHECK_EQ(http1_parse_request(&head, text, (uint32_t)strlen(text), &limits), HTTP1_DONE);
}

static const char *find(const char *what)
{
    static char out[256];
    struct key_part part = key_part_find(&head, text, what);
    snprintf(out, sizeof out, "%.*s", (int)part.len, part.len ? part.at : "");
    return out;
}

static uint64_t hash(const char *what)
{
    return key_hash_request(what, &head, text, client, sizeof client);
}

TEST(parts_of_the_target)
{
    parse("GET /a/b?c=d&e HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_STR(find("uri"), "/a/b?c=d&e");
    CHECK_STR(find("path"), "/a/b");
    CHECK_STR(find("host"), "h");
    CHECK_STR(find("client_ip"), "");
    parse("GET http://other:81/x?y HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_STR(find("uri"), "/x?y");
    CHECK_STR(find("host"), "other:81"); /* the target's wins */
    parse("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK_STR(find("uri"), "*");
    CHECK_STR(find("path"), "");
}

TEST(headers_by_any_case)
{
    parse("GET / HTTP/1.1\r\nHost: h\r\nx-TENANT:  t1 \r\nX-Tenant: t2\r\n\r\n");
    CHECK_STR(find("header:X-Tenant"), "t1");
    CHECK_STR(find("header:X-Ten"), "");
    CHECK_STR(find("header:X-Tenants"), "");
}

TEST(several_cookies_of_a_name)
{
    static const char *const values[] = {"sid=1", "", "2", "3"};
    parse("GET / HTTP/1.1\r\nHost: h\r\nCookie: sid=sid=1 ;sid=; a=b\r\nX: sid=9\r\nCookie: "
          "sid=2\t; sid=3 \r\n\r\n");
    struct key_part part = key_cookie(&head, text, "sid");
    for (unsigned i = 0; i < ARRAY_LEN(values); i++) {
        CHECK_EQ(part.len, strlen(values[i]));
        CHECK(part.at && memcmp(part.at, values[i], part.len) == 0);
        part = key_cookie_behind(&head, text, "sid", part.at);
    }
    CHECK(part.at == NULL);
}

TEST(cookies)
{
    parse("GET / HTTP/1.1\r\nHost: h\r\nCookie: xsid=0; sid=1; a=\"b\"\r\nCookie: late=2; "
          "sid=3\r\n\r\n");
    CHECK_STR(find("cookie:sid"), "1");
    CHECK_STR(find("cookie:late"), "2"); /* HTTP/2 clients send several fields */
    CHECK_STR(find("cookie:a"), "\"b\"");
    CHECK_STR(find("cookie:SID"), ""); /* names of cookies have case */
    CHECK_STR(find("cookie:si"), "");
    CHECK_STR(find("cookie:id"), "");
    parse("GET / HTTP/1.1\r\nHost: h\r\nCookie: ;; sid ; =x; sid=; \tsid=y;sid2=z\r\n\r\n");
    CHECK_STR(find("cookie:sid2"), "z");
    parse("GET / HTTP/1.1\r\nHost: h\r\nCookie: sid\r\nCookie:\r\nCookie: =\r\n\r\n");
    CHECK_STR(find("cookie:sid"), "");
}

TEST(a_host_is_the_same_in_any_case)
{
    parse("GET / HTTP/1.1\r\nHost: Example.COM\r\n\r\n");
    uint64_t upper = hash("host");
    parse("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
    CHECK(hash("host") == upper);
    parse("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    CHECK(hash("host") != upper);
}

TEST(without_the_part_the_clients_address_decides)
{
    static const uint8_t other[4] = {192, 0, 2, 2};
    parse("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    uint64_t by_address = hash("client_ip");
    CHECK(hash("cookie:sid") == by_address);
    CHECK(hash("header:X-Tenant") == by_address);
    CHECK(key_hash_request("uri", NULL, NULL, client, sizeof client) == by_address);
    CHECK(key_hash_request("client_ip", &head, text, other, sizeof other) != by_address);
    CHECK(hash("uri") != by_address);
}

/* All hosts and versions must place a key alike: these are part of the format. */
TEST(hashes_do_not_change)
{
    parse("GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n");
    uint64_t uri = hash("uri");
    parse("HEAD /a?b HTTP/1.0\r\nX: y\r\nHost: other\r\n\r\n");
    CHECK(hash("uri") == uri); /* nothing but the part counts */
}
