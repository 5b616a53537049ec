/* Connection, Upgrade and Expect: what a request says about the connection, and which fields end
 * there. */
#include "tests/unit/base/http1_feed.h"

#define HOST "Host: a.test\r\n"

TEST(persistence_upgrade_and_expect)
{
    static const struct {
        const char *version, *headers;
        bool keep_alive, upgrade, expect;
    } rows[] = {
        {"1.1", "", true, false, false},
        {"1.0", "", false, false, false},
        {"1.1", "Connection: close\r\n", false, false, false},
        {"1.1", "Connection: Close\r\n", false, false, false},
        {"1.1", "Connection: keep-alive, close\r\n", false, false, false},
        {"1.1", "Connection: keep-alive\r\nConnection: close\r\n", false, false, false},
        {"1.1", "Connection: foo ,,\tcLoSe ,bar\r\n", false, false, false},
        {"1.1", "Connection: closed\r\n", true, false, false},
        {"1.1", "Connection:\r\n", true, false, false},
        {"1.1", "Connection: close;now\r\n", false, false, false},
        {"1.1", "Connection: \"keep-alive\"\r\n", false, false, false},
        {"1.0", "Connection: keep-alive\r\n", true, false, false},
        {"1.0", "Connection: Keep-Alive, close\r\n", false, false, false},
        {"1.0", "Keep-Alive: 5\r\n", false, false, false},
        {"1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true, true, false},
        {"1.1", "Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n", true, true, false},
        {"1.1", "Upgrade: websocket\r\n", true, false, false},
        {"1.1", "Connection: upgrade\r\n", true, false, false},
        {"1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n", false, false, false},
        {"1.1", "Expect: 100-continue\r\n", true, false, true},
        {"1.1", "Expect: 100-Continue\r\n", true, false, true},
        {"1.1", "Expect: 100-continued\r\n", true, false, false},
        {"1.1", "Expect: \"00-continue\r\n", true, false, false},
        {"1.0", "Expect: 100-continue\r\n", false, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256];
        snprintf(text, sizeof text, "GET / HTTP/%s\r\n" HOST "%s\r\n", rows[i].version,
                 rows[i].headers);
        fprintf(stderr, "%s", text);
        static struct outcome o;
        o = feed_request(text);
        CHECK_EQ(o.result, HTTP1_DONE);
        CHECK_EQ(o.head.keep_alive, rows[i].keep_alive);
        CHECK_EQ(o.head.upgrade, rows[i].upgrade);
        CHECK_EQ(o.head.expect_continue, rows[i].expect);
    }
}

TEST(hop_by_hop_fields)
{
    static const struct {
        const char *line;
        bool hop;
    } rows[] = {
        {"Connection: x-one, X-TWO,cookie, host, content-length, X-Forwarded-For, x-real-ip", true},
        {"Connection: x-request-id, x-forwarded-proto,x-forwarded-host, not there", true},
        {"X-One: 1", true},
        {"x-two: 2", true},
        {"X-Two: again", true},
        {"X-Twp: 2", false},
        {"Cookie: a=b", true},
        {"Content-Length: 0", false},
        {"X-Forwarded-For: 192.0.2.1", false},
        {"X-Forwarded-Proto: https", false},
        {"X-Forwarded-Host: a.test", false},
        {"X-Real-IP: 192.0.2.1", false},
        {"X-Request-ID: 7", false},
        {"Keep-Alive: timeout=5", true},
        {"Proxy-Connection: keep-alive", true},
        {"TE: trailers", true},
        {"Upgrade: h2c", true},
        {"Trailer: X-Sum", false},
        {"Proxy-Authorization: Basic x", false},
        {"Accept: */*", false},
        {"not: x", false},
    };
    char text[2048] = "GET / HTTP/1.1\r\n" HOST;
    static struct outcome o;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        strcat(text, rows[i].line);
        strcat(text, "\r\n");
    }
    o = feed_request(strcat(text, "\r\n"));
    CHECK_EQ(o.result, HTTP1_DONE);
    CHECK_EQ(o.head.headers[0].hop, false);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fprintf(stderr, "%s\n", rows[i].line);
        CHECK_EQ(o.head.headers[i + 1].hop, rows[i].hop);
    }
    o = feed_request("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HOST "\r\n0\r\n\r\n");
    CHECK_EQ(o.head.headers[0].hop, true);
}

TEST(connection_may_name_only_so_many)
{
    char text[512] = "GET / HTTP/1.1\r\n" HOST "Connection: close";

    for (unsigned i = 0; i < 32; i++) {
        strcat(text, ", x");
    }
    size_t most = strlen(text);
    strcat(text, "\r\nX: y\r\n\r\n");
    CHECK_EQ(feed_request(text).result, HTTP1_DONE);
    CHECK(feed_request(text).head.headers[2].hop);
    strcpy(text + most, "\r\nConnection: close, x\r\n\r\n");
    CHECK_EQ(feed_request(text).status, 400);
}
