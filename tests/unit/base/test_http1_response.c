/* Response heads: the status line and how long the body is (RFC 9112 6.3). */
#include "base/http1_int.h"
#include "tests/unit/base/http1_feed.h"

TEST(spans_of_a_plain_response)
{
    const char *text = "HTTP/1.1 404 Not Found\r\nServer: s\r\nContent-Length: 3\r\n\r\nabc";
    static struct outcome o;

    o = feed_response(text);
    CHECK_EQ(o.result, HTTP1_DONE);
    CHECK_EQ(o.head.status, 404);
    CHECK_EQ(o.head.minor, 1);
    CHECK(feed_span_is(text, o.head.reason, "Not Found"));
    CHECK_EQ(o.head.count, 2);
    CHECK_EQ(o.head.headers[0].id, HTTP1_H_SERVER);
    CHECK_EQ(o.head.first_line_bytes, 24);
    CHECK_EQ(o.head.head_bytes, strlen(text) - 3);
    CHECK_EQ(o.head.body, HTTP1_BODY_LENGTH);
    CHECK_EQ(o.head.content_length, 3);
    CHECK(o.head.keep_alive);
}

TEST(status_lines)
{
    static const struct {
        const char *line;
        unsigned status; /* 0: refused */
        const char *reason;
    } rows[] = {
        {"HTTP/1.1 200 OK", 200, "OK"},
        {"HTTP/1.0 200 OK", 200, "OK"},
        {"HTTP/1.7 200 OK", 200, "OK"},
        {"HTTP/1.1 200 ", 200, ""},
        {"HTTP/1.1 200", 200, ""},
        {"HTTP/1.1 200  two\tspaces \xff", 200, " two\tspaces \xff"},
        {"HTTP/1.1 100 Continue", 100, "Continue"},
        {"HTTP/1.1 599 x", 599, "x"},
        {"HTTP/1.1 999 x", 999, "x"},
        {"HTTP/1.1 099 x", 0, NULL},
        {"HTTP/1.1 000 x", 0, NULL},
        {"HTTP/1.1 20 x", 0, NULL},
        {"HTTP/1.1 2000 x", 0, NULL},
        {"HTTP/1.1 2x0 x", 0, NULL},
        {"HTTP/1.1 +20 x", 0, NULL},
        {"HTTP/1.1  200 x", 0, NULL},
        {"HTTP/1.1\t200 x", 0, NULL},
        {"HTTP/1.1 200\tx", 0, NULL},
        {"HTTP/1.1 200OK", 0, NULL},
        {"HTTP/1.1 200 a\x01", 0, NULL},
        {"HTTP/1.1 200 a\x7f", 0, NULL},
        {"HTTP/1.1 200 a\rb", 0, NULL},
        {"HTTP/1.1 200 OK\r", 0, NULL},
        {"HTTP/1.1 200 OK\n", 0, NULL},
        {"HTTP/1.1 ", 0, NULL},
        {"HTTP/1.1", 0, NULL},
        {"HTTP/2.0 200 OK", 0, NULL},
        {"HTTP/2 200 OK", 0, NULL},
        {"HTTP/0.9 200 OK", 0, NULL},
        {"http/1.1 200 OK", 0, NULL},
        {"ICY 200 OK", 0, NULL},
        {" HTTP/1.1 200 OK", 0, NULL},
        {"", 0, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[128];
        static struct outcome o;
        snprintf(text, sizeof text, "%s\r\nContent-Length: 0\r\n\r\n", rows[i].line);
        fprintf(stderr, "%s", text);
        o = feed_response(text);
        CHECK_EQ(o.result, rows[i].status != 0 ? HTTP1_DONE : HTTP1_ERROR);
        CHECK_EQ(o.head.status, rows[i].status != 0 ? rows[i].status : 502);
        CHECK(rows[i].status == 0 || feed_span_is(text, o.head.reason, rows[i].reason));
    }
}

enum asked { GET, HEAD, CONNECT };
enum { REFUSED = 99 };

struct row {
    enum asked asked;
    const char *version;
    unsigned status;
    const char *headers;
    unsigned body; /* enum http1_body, or REFUSED */
    bool keep_alive;
};

#define CL     "Content-Length: 5\r\n"
#define TE     "Transfer-Encoding: chunked\r\n"
#define CLOSE  "Connection: close\r\n"
#define NONE   HTTP1_BODY_NONE
#define LENGTH HTTP1_BODY_LENGTH

static const struct row matrix[] = {
    {GET, "1.1", 200, CL, LENGTH, true},
    {GET, "1.1", 200, TE, HTTP1_BODY_CHUNKED, true},
    {GET, "1.1", 200, "", HTTP1_BODY_CLOSE, false},
    {GET, "1.1", 200, "Connection: keep-alive\r\n", HTTP1_BODY_CLOSE, false},
    {GET, "1.1", 200, "Content-Length: 0\r\n", NONE, true},
    {GET, "1.1", 200, CL CLOSE, LENGTH, false},
    {GET, "1.1", 200, TE CLOSE, HTTP1_BODY_CHUNKED, false},
    {GET, "1.1", 500, CL, LENGTH, true},
    {GET, "1.1", 206, "", HTTP1_BODY_CLOSE, false},
    {GET, "1.0", 200, CL, LENGTH, false},
    {GET, "1.0", 200, CL "Connection: keep-alive\r\n", LENGTH, true},
    {GET, "1.0", 200, "", HTTP1_BODY_CLOSE, false},
    /* messages without a body, whatever they say */
    {GET, "1.1", 304, "", NONE, true},
    {GET, "1.1", 304, CL, NONE, true},
    {GET, "1.1", 304, TE, NONE, true},
    {GET, "1.1", 304, CLOSE, NONE, false},
    {GET, "1.1", 204, "", NONE, true},
    {GET, "1.1", 204, "Content-Length: 0\r\n", NONE, true},
    {GET, "1.1", 100, "", NONE, true},
    {GET, "1.1", 103, "Link: </x>\r\n", NONE, true},
    {GET, "1.1", 101, "", NONE, true},
    {HEAD, "1.1", 200, "", NONE, true},
    {HEAD, "1.1", 200, CL, NONE, true},
    {HEAD, "1.1", 200, TE, NONE, true},
    {HEAD, "1.0", 200, CL, NONE, false},
    {HEAD, "1.1", 404, CL, NONE, true},
    {CONNECT, "1.1", 200, "", NONE, true},
    {CONNECT, "1.1", 299, CL, NONE, true},
    {CONNECT, "1.1", 300, CL, LENGTH, true},
    {CONNECT, "1.1", 502, "", HTTP1_BODY_CLOSE, false},
    /* a body announced where none may be: not to be trusted any further */
    {GET, "1.1", 204, CL, NONE, false},
    {GET, "1.1", 204, TE, NONE, false},
    {GET, "1.1", 100, CL, NONE, false},
    {GET, "1.1", 101, TE, NONE, false},
    /* ambiguous */
    {GET, "1.1", 200, CL TE, REFUSED, false},
    {GET, "1.1", 200, TE CL, REFUSED, false},
    {HEAD, "1.1", 200, TE CL, REFUSED, false},
    {GET, "1.1", 304, TE CL, REFUSED, false},
    {GET, "1.1", 204, TE CL, REFUSED, false},
    {GET, "1.1", 200, CL CL, REFUSED, false},
    {HEAD, "1.1", 200, CL "Content-Length: 6\r\n", REFUSED, false},
    {GET, "1.1", 200, "Content-Length: 5, 5\r\n", REFUSED, false},
    {GET, "1.1", 200, "Content-Length: -5\r\n", REFUSED, false},
    {GET, "1.1", 304, "Content-Length: x\r\n", REFUSED, false},
    {GET, "1.1", 200, "Transfer-Encoding: gzip\r\n", REFUSED, false},
    {GET, "1.1", 200, "Transfer-Encoding: gzip, chunked\r\n", REFUSED, false},
    {GET, "1.1", 200, "Transfer-Encoding: chunked, gzip\r\n", REFUSED, false},
    {GET, "1.1", 200, "Transfer-Encoding: identity\r\n", REFUSED, false},
    {GET, "1.1", 200, TE TE, REFUSED, false},
    {GET, "1.0", 200, TE, REFUSED, false},
    {GET, "1.1", 200, "X : y\r\n", REFUSED, false},
    {GET, "1.1", 200, "X: y\r\n z\r\n", REFUSED, false},
    {GET, "1.1", 200, "X: y\nZ: z\r\n", REFUSED, false},
    {GET, "1.1", 200, "X\r\n", REFUSED, false},
};

static void check_row(const struct row *row)
{
    static struct http1_head h;
    struct feed f = {.limits = feed_limits,
                     .response = true,
                     .is_head = row->asked == HEAD,
                     .is_connect = row->asked == CONNECT};
    char text[256];

    snprintf(text, sizeof text, "HTTP/%s %u x\r\n%s\r\n", row->version, row->status, row->headers);
    fprintf(stderr, "asked %d: %s", row->asked, text);
    for (f.pieces = 0; f.pieces < 10; f.pieces++) {
        enum http1_result r = feed_head(&h, &f, text, (uint32_t)strlen(text));
        CHECK_EQ(r, row->body == REFUSED ? HTTP1_ERROR : HTTP1_DONE);
        CHECK_EQ(h.status, row->body == REFUSED ? 502 : row->status);
        if (r == HTTP1_DONE) {
            CHECK_EQ(h.body, row->body);
            CHECK_EQ(h.keep_alive, row->keep_alive);
            CHECK_EQ(h.content_length, strstr(row->headers, "Length: 5") != NULL ? 5 : 0);
        }
    }
}

TEST(body_and_persistence_matrix)
{
    for (size_t i = 0; i < ARRAY_LEN(matrix); i++) {
        check_row(&matrix[i]);
    }
}

TEST(switching_protocols)
{
    static struct outcome o;

    o = feed_response(
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00");
    CHECK_EQ(o.result, HTTP1_DONE);
    CHECK(o.head.upgrade);
    CHECK_EQ(o.head.body, HTTP1_BODY_NONE);
    o = feed_response("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n");
    CHECK(!o.head.upgrade);
}

TEST(an_interim_response_and_the_final_one)
{
    const char *text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    static struct outcome o;

    o = feed_response(text);
    CHECK_EQ(o.head.status, 100);
    CHECK_EQ(o.head.head_bytes, 25);
    o = feed_response(text + o.head.head_bytes);
    CHECK_EQ(o.head.status, 200);
}

TEST(host_means_nothing_in_a_response)
{
    CHECK_EQ(
        feed_response("HTTP/1.1 200 OK\r\nHost: /\r\nHost:\r\nContent-Length: 0\r\n\r\n").result,
        HTTP1_DONE);
    CHECK_EQ(feed_response("HTTP/1.1 200 OK\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n")
                 .head.authority.len,
             0);
}

TEST(hop_by_hop_fields_of_a_response)
{
    static struct outcome o;

    o = feed_response(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nX-A: b\r\nConnection: x-a\r\nSet-Cookie: c\r\n"
        "Keep-Alive: 5\r\nContent-Length: 0\r\n\r\n");
    CHECK_EQ(o.result, HTTP1_DONE);
    CHECK(!o.head.headers[0].hop && o.head.headers[1].hop && o.head.headers[2].hop);
    CHECK(!o.head.headers[3].hop && o.head.headers[4].hop && !o.head.headers[5].hop);
}

TEST(limits_of_a_response)
{
    const char *text = "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 0\r\n\r\n";
    uint32_t len = (uint32_t)strlen(text);
    struct feed f = {.limits = {.head_bytes = len, .headers = 2}, .response = true};

    CHECK_EQ(feed_every_way(f, text, len).result, HTTP1_DONE);
    f.limits.headers = 1;
    CHECK_EQ(feed_every_way(f, text, len).status, 502);
    f.limits.headers = 2;
    for (f.limits.head_bytes = 0; f.limits.head_bytes < len; f.limits.head_bytes++) {
        CHECK_EQ(feed_every_way(f, text, len).status, 502);
    }
}

TEST(reasons)
{
    CHECK_STR(http1_reason(200), "OK");
    CHECK_STR(http1_reason(100), "Continue");
    CHECK_STR(http1_reason(431), "Request Header Fields Too Large");
    CHECK_STR(http1_reason(511), "Network Authentication Required");
    CHECK_STR(http1_reason(299), "Unknown");
    CHECK_STR(http1_reason(0), "Unknown");
    CHECK_STR(http1_reason(100000), "Unknown");
}
