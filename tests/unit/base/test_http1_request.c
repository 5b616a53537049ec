/* Request heads: RFC 9112 sections 2 to 6, the strictness vectors of tests/data, limits,
 * resumption. */
#include <jansson.h>

#include "base/http1_int.h"
#include "tests/unit/base/http1_feed.h"

#define HOST "Host: a.test\r\n"

/* Latin-1 back from the UTF-8 that jansson hands out. */
static uint32_t raw_bytes(const json_t *raw, char *out)
{
    const char *s = json_string_value(raw);
    size_t len = json_string_length(raw);
    uint32_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if ((s[i] & 0xc0) == 0xc0) {
            out[n++] = (char)((s[i] & 3) << 6 | (s[i + 1] & 0x3f));
            i++;
        } else {
            out[n++] = s[i];
        }
    }
    return n;
}

static void check_vector(const json_t *vector)
{
    static char bytes[4096];
    const char *name = json_string_value(json_object_get(vector, "name"));
    unsigned status = (unsigned)json_integer_value(json_object_get(vector, "status"));
    uint32_t len = raw_bytes(json_object_get(vector, "raw"), bytes);
    static struct outcome o;

    fprintf(stderr, "vector: %s\n", name);
    o = feed_every_way((struct feed){.limits = feed_limits}, bytes, len);
    CHECK_EQ(o.result, status == 200 ? HTTP1_DONE : HTTP1_ERROR);
    CHECK_EQ(o.status, status == 200 ? 0 : status);
}

TEST(strictness_vectors)
{
    json_error_t error;
    json_t *vectors = json_load_file("tests/data/http1_strictness.json", JSON_ALLOW_NUL, &error);
    CHECK(vectors != NULL);
    CHECK_EQ(json_array_size(vectors), 51);
    for (size_t i = 0; i < json_array_size(vectors); i++) {
        check_vector(json_array_get(vectors, i));
    }
    json_decref(vectors);
}

TEST(class_table_is_what_the_rfcs_list)
{
    for (unsigned c = 0; c < 256; c++) {
        bool digit = c >= '0' && c <= '9';
        bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool hex = digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        bool token =
            digit || alpha || (c > 0 && c < 128 && strchr("!#$%&'*+-.^_`|~", (int)c) != NULL);
        bool reg_name =
            digit || alpha || (c > 0 && c < 128 && strchr("-._~!$&'()*+,;=%", (int)c) != NULL);
        CHECK_EQ(http1_is((char)c, HTTP1_C_DIGIT), digit);
        CHECK_EQ(http1_is((char)c, HTTP1_C_ALPHA), alpha);
        CHECK_EQ(http1_is((char)c, HTTP1_C_HEX), hex);
        CHECK_EQ(http1_is((char)c, HTTP1_C_TOKEN), token);
        CHECK_EQ(http1_is((char)c, HTTP1_C_REGNAME), reg_name);
        CHECK_EQ(http1_is((char)c, HTTP1_C_VALUE), c == '\t' || (c >= ' ' && c != 0x7f));
        CHECK_EQ(http1_is((char)c, HTTP1_C_TARGET), c > ' ' && c < 0x7f && c != '#');
    }
}

/* The vector code and the table must agree, wherever in a block the byte stands. */
static void check_byte_at(const char *before, const char *after, unsigned c, unsigned filler,
                          bool ok)
{
    char text[512];
    int n = snprintf(text, sizeof text, "%s%.*s%c%.*s%s", before, (int)filler,
                     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", (int)c, (int)(40 - filler),
                     "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", after);
    static struct outcome o;

    o = feed_message(&(struct feed){.limits = feed_limits}, text, (uint32_t)n);
    CHECK_EQ(o.result, ok ? HTTP1_DONE : HTTP1_ERROR);
}

TEST(every_byte_in_every_place)
{
    for (unsigned c = 1; c < 256; c++) {
        for (unsigned filler = 1; filler < 35; filler++) {
            bool token = http1_is((char)c, HTTP1_C_TOKEN);
            check_byte_at("", " / HTTP/1.1\r\n" HOST "\r\n", c, filler, token);
            check_byte_at("GET /", " HTTP/1.1\r\n" HOST "\r\n", c, filler,
                          http1_is((char)c, HTTP1_C_TARGET));
            check_byte_at("GET / HTTP/1.1\r\n" HOST "X", ": y\r\n\r\n", c, filler,
                          token || c == ':');
            check_byte_at("GET / HTTP/1.1\r\n" HOST "X: ", "\r\n\r\n", c, filler,
                          http1_is((char)c, HTTP1_C_VALUE));
            check_byte_at("GET / HTTP/1.1\r\nHost: ", "\r\n\r\n", c, filler,
                          http1_is((char)c, HTTP1_C_REGNAME)); /* the log counts on it */
        }
    }
}

TEST(spans_of_a_plain_request)
{
    const char *text = "GET /a/b?c=d&e HTTP/1.1\r\nhOsT: a.test:8080\r\nX-Empty:\r\nX-Pad: \t some "
                       "\t text \t \r\n\r\nnext";
    static struct outcome o;

    o = feed_request(text);
    CHECK_EQ(o.result, HTTP1_DONE);
    CHECK(feed_span_is(text, o.head.method, "GET"));
    CHECK(feed_span_is(text, o.head.target, "/a/b?c=d&e"));
    CHECK(feed_span_is(text, o.head.path, "/a/b"));
    CHECK(feed_span_is(text, o.head.query, "c=d&e"));
    CHECK(feed_span_is(text, o.head.authority, "a.test:8080"));
    CHECK_EQ(o.head.count, 3);
    CHECK(feed_span_is(text, o.head.headers[0].name, "hOsT"));
    CHECK_EQ(o.head.headers[0].id, HTTP1_H_HOST);
    CHECK(feed_span_is(text, o.head.headers[1].value, ""));
    CHECK(feed_span_is(text, o.head.headers[2].value, "some \t text"));
    CHECK_EQ(o.head.head_bytes, strlen(text) - 4);
    CHECK_EQ(o.head.first_line_bytes, 25);
    CHECK(o.head.is_get && o.head.idempotent && o.head.keep_alive && !o.head.absolute_form);
    CHECK_EQ(o.head.body, HTTP1_BODY_NONE);
    CHECK_EQ(o.head.present, UINT64_C(1) << HTTP1_H_HOST);
}

struct target {
    const char *method, *target;
    const char *path; /* NULL: refused */
    const char *query, *authority;
};

TEST(target_forms)
{
    static const struct target rows[] = {
        {"GET", "/", "/", "", "a.test"},
        {"GET", "/?", "/", "", "a.test"},
        {"GET", "/p?q?r", "/p", "q?r", "a.test"},
        {"GET", "//x/y", "//x/y", "", "a.test"},
        {"GET", "/\"<>\\^`{|}", "/\"<>\\^`{|}", "", "a.test"},
        {"GET", "http://b.test/p?q", "/p", "q", "b.test"},
        {"GET", "HTTPS://B.test:443", "", "", "B.test:443"},
        {"GET", "http://b.test?q/r", "", "q/r", "b.test"},
        {"OPTIONS", "http://b.test", "", "", "b.test"},
        {"GET", "http://[::1]:80/", "/", "", "[::1]:80"},
        {"OPTIONS", "*", "", "", "a.test"},
        {"CONNECT", "b.test:443", "", "", "b.test:443"},
        {"CONNECT", "[::1]:443", "", "", "[::1]:443"},
        {"GET", "*", NULL, NULL, NULL},
        {"OPTIONS", "**", NULL, NULL, NULL},
        {"GET", "p", NULL, NULL, NULL},
        {"GET", "?q", NULL, NULL, NULL},
        {"GET", "b.test:443", NULL, NULL, NULL},
        {"GET", "http:/b.test/", NULL, NULL, NULL},
        {"GET", "http://", NULL, NULL, NULL},
        {"GET", "http:///p", NULL, NULL, NULL},
        {"GET", "http://?q", NULL, NULL, NULL},
        {"GET", "http://user@b.test/", NULL, NULL, NULL},
        {"GET", "http://b.test:x/", NULL, NULL, NULL},
        {"GET", "ftp://b.test/", NULL, NULL, NULL},
        {"GET", "/#f", NULL, NULL, NULL},
        {"GET", "http://b.test/#f", NULL, NULL, NULL},
        {"CONNECT", "/", NULL, NULL, NULL},
        {"CONNECT", "b.test", NULL, NULL, NULL},
        {"CONNECT", "b.test:", NULL, NULL, NULL},
        {"CONNECT", "http://b.test:80/", NULL, NULL, NULL},
        {"CONNECT", "*", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256];
        snprintf(text, sizeof text, "%s %s HTTP/1.1\r\n" HOST "\r\n", rows[i].method,
                 rows[i].target);
        fprintf(stderr, "%s", text);
        static struct outcome o;
        o = feed_request(text);
        CHECK_EQ(o.result, rows[i].path != NULL ? HTTP1_DONE : HTTP1_ERROR);
        CHECK_EQ(o.status, rows[i].path != NULL ? 0 : 400);
        if (rows[i].path != NULL) {
            CHECK(feed_span_is(text, o.head.path, rows[i].path));
            CHECK(feed_span_is(text, o.head.query, rows[i].query));
            CHECK(feed_span_is(text, o.head.authority, rows[i].authority));
            CHECK_EQ(o.head.absolute_form, strstr(rows[i].target, "://") != NULL);
        }
    }
}

TEST(methods)
{
    static const struct {
        const char *name;
        bool is_get, is_head, idempotent;
    } rows[] = {
        {"GET", true, false, true},
        {"HEAD", false, true, true},
        {"PUT", false, false, true},
        {"DELETE", false, false, true},
        {"TRACE", false, false, true},
        {"OPTIONS", false, false, true},
        {"POST", false, false, false},
        {"PATCH", false, false, false},
        {"get", false, false, false},
        {"Head", false, false, false},
        {"GETS", false, false, false},
        {"M-SEARCH", false, false, false},
        {"!#$%&'*+-.^_`|~09azAZ", false, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[128];
        snprintf(text, sizeof text, "%s / HTTP/1.1\r\n" HOST "\r\n", rows[i].name);
        static struct outcome o;
        o = feed_request(text);
        CHECK_EQ(o.result, HTTP1_DONE);
        CHECK_EQ(o.head.is_get, rows[i].is_get);
        CHECK_EQ(o.head.is_head, rows[i].is_head);
        CHECK_EQ(o.head.idempotent, rows[i].idempotent);
    }
}

TEST(hosts)
{
    static const struct {
        const char *host;
        bool ok;
    } rows[] = {
        {"a", true},
        {"a.test", true},
        {"A-1.test.", true},
        {"a.test:", true},
        {"a.test:0", true},
        {"a.test:65535", true},
        {"127.0.0.1:80", true},
        {"[::1]", true},
        {"[::ffff:1.2.3.4]:80", true},
        {"a_b.test", true},
        {"a%41.test", true},
        {"xn--bcher-kva.test", true},
        {"a,b", true},
        {"", false},
        {":80", false},
        {"a.test:65536", false},
        {"a.test:000080", false},
        {"a.test:8x", false},
        {"a.test:+8", false},
        {"a b", false},
        {"a/b", false},
        {"a@b", false},
        {"a?b", false},
        {"a#b", false},
        {"a\\b", false},
        {"<a>", false},
        {"a\"b", false},
        {"a%4", false},
        {"a%zz", false},
        {"[::1", false},
        {"[]", false},
        {"[::1]x", false},
        {"[fe80::1%25eth0]", false},
        {"a:80:80", false},
        {"b\xc3\xbc"
         "cher.test",
         false},
        {"a\tb", false},
        {"{a}", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[128];
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", rows[i].host);
        fprintf(stderr, "%s", text);
        static struct outcome o;
        o = feed_request(text);
        CHECK_EQ(o.result, rows[i].ok ? HTTP1_DONE : HTTP1_ERROR);
        if (rows[i].ok) {
            CHECK(feed_span_is(text, o.head.authority, rows[i].host));
        }
    }
}

TEST(host_is_needed_once)
{
    CHECK_EQ(feed_request("GET / HTTP/1.0\r\n\r\n").result, HTTP1_DONE);
    CHECK_EQ(feed_request("GET / HTTP/1.1\r\n\r\n").status, 400);
    CHECK_EQ(feed_request("GET / HTTP/1.0\r\n" HOST HOST "\r\n").status, 400);
    CHECK_EQ(feed_request("GET / HTTP/1.1\r\n" HOST "HOST: a.test\r\n\r\n").status, 400);
    CHECK_EQ(feed_request("GET http://a.test/ HTTP/1.1\r\n\r\n").status, 400);
    CHECK_EQ(feed_request("GET http://a.test/ HTTP/1.1\r\nHost: /\r\n\r\n").status, 400);
}

struct framing {
    const char *headers;
    unsigned status; /* 0: accepted */
    enum http1_body body;
    uint64_t length;
};

static void check_framing(const char *version, const struct framing *row)
{
    char text[256];
    static struct outcome o;

    snprintf(text, sizeof text, "POST / HTTP/%s\r\n" HOST "%s\r\n", version, row->headers);
    fprintf(stderr, "%s", text);
    o.result =
        feed_head(&o.head, &(struct feed){.limits = feed_limits}, text, (uint32_t)strlen(text));
    CHECK_EQ(o.result, row->status == 0 ? HTTP1_DONE : HTTP1_ERROR);
    CHECK_EQ(o.head.status, row->status);
    if (row->status == 0) {
        CHECK_EQ(o.head.body, row->body);
        CHECK_EQ(o.head.content_length, row->length);
    }
}

TEST(request_framing)
{
    static const struct framing rows[] = {
        {"", 0, HTTP1_BODY_NONE, 0},
        {"Content-Length: 0\r\n", 0, HTTP1_BODY_NONE, 0},
        {"Content-Length: 5\r\n", 0, HTTP1_BODY_LENGTH, 5},
        {"Content-Length: \t 005 \r\n", 0, HTTP1_BODY_LENGTH, 5},
        {"CONTENT-LENGTH:9223372036854775807\r\n", 0, HTTP1_BODY_LENGTH, INT64_MAX},
        {"Content-Length: 9223372036854775808\r\n", 400, 0, 0},
        {"Content-Length: 18446744073709551616\r\n", 400, 0, 0},
        {"Content-Length: 00000000000000000005\r\n", 400, 0, 0},
        {"Content-Length: 5,5\r\n", 400, 0, 0},
        {"Content-Length: 5;\r\n", 400, 0, 0},
        {"Content-Length: 5.0\r\n", 400, 0, 0},
        {"Content-Length: 5e1\r\n", 400, 0, 0},
        {"Content-Length: 0\r\nContent-Length: 0\r\n", 400, 0, 0},
        {"Transfer-Encoding: chunked\r\n", 0, HTTP1_BODY_CHUNKED, 0},
        {"transfer-encoding:\tCHUNKED\t\r\n", 0, HTTP1_BODY_CHUNKED, 0},
        {"Transfer-Encoding: , chunked\r\n", 400, 0, 0},
        {"Transfer-Encoding: chunked ,\r\n", 400, 0, 0},
        {"Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n", 400, 0, 0},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", 400, 0, 0},
        {"Transfer-Encoding:\r\n", 400, 0, 0},
        {"Transfer-Encoding: identity\r\n", 400, 0, 0},
        {"Transfer-Encoding: gzip\r\n", 400, 0, 0},
        {"Transfer-Encoding: \"chunked\"\r\n", 400, 0, 0},
        {"Transfer-Encoding: chunked;q=1\r\n", 400, 0, 0},
        {"Transfer-Encoding: chunke\r\n", 400, 0, 0},
        {"Transfer-Encoding: chunked\x80\r\n", 400, 0, 0},
        {"Transfer-Encoding: chunked gzip\r\n", 400, 0, 0},
        {"Transfer-Encoding: chunked, gzip\r\n", 400, 0, 0},
        {"Transfer-Encoding: gzip, chunked\r\n", 501, 0, 0},
        {"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501, 0, 0},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400, 0, 0},
        {"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400, 0, 0},
        {"Content-Length: 5\r\nTransfer-Encoding: identity\r\n", 400, 0, 0},
        {"Transfer_Encoding: chunked\r\n", 0, HTTP1_BODY_NONE, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check_framing("1.1", &rows[i]);
        check_framing("1.9", &rows[i]);
    }
    check_framing("1.0", &(struct framing){"Transfer-Encoding: chunked\r\n", 400, 0, 0});
    check_framing("1.0", &(struct framing){"Content-Length: 5\r\n", 0, HTTP1_BODY_LENGTH, 5});
}

TEST(a_get_may_have_a_body)
{
    static struct outcome o;

    o = feed_request("GET / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcGET");
    CHECK_EQ(o.result, HTTP1_DONE);
    CHECK_EQ(o.payload_bytes, 3);
    o = feed_request("GET / HTTP/1.1\r\n" HOST
                     "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET");
    CHECK_EQ(o.result, HTTP1_DONE);
    CHECK_EQ(o.payload_bytes, 3);
    CHECK_EQ(o.consumed, 13);
}

TEST(versions)
{
    static const struct {
        const char *version;
        int minor; /* -1: refused */
    } rows[] = {{"HTTP/1.0", 0},  {"HTTP/1.1", 1},   {"HTTP/1.2", 1},   {"HTTP/1.9", 1},
                {"HTTP/2.0", -1}, {"HTTP/0.9", -1},  {"HTTP/1.10", -1}, {"HTTP/01.1", -1},
                {"HTTP/1,1", -1}, {"HTTP/1.", -1},   {"HTTP/1", -1},    {"HTTP 1.1", -1},
                {"", -1},         {"HTTPS/1.1", -1}, {"Http/1.1", -1}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[128];
        snprintf(text, sizeof text, "GET / %s\r\n" HOST "\r\n", rows[i].version);
        static struct outcome o;
        o = feed_request(text);
        CHECK_EQ(o.status, rows[i].minor < 0 ? 400 : 0);
        if (rows[i].minor >= 0) {
            CHECK_EQ(o.head.minor, rows[i].minor);
        }
    }
}
