/* Health checks in a file: what expect means, what goes together, and what a backend says of its
 * own. */
#include "tests/unit/conf/conf_fixture.h"

#define WEB "listeners = { web = { bind = \"*:80\", pool = \"app\" } }\n"

static const struct conf_health *health_of(const char *settings)
{
    char text[4096];
    snprintf(text, sizeof text, WEB "pools = { app = { backends = [ ], health = { %s } } }",
             settings);
    return &load_good(text)->pools[0].health;
}

/* The error of a pool's health group, without its beginning. */
static const char *bad_health(const char *settings)
{
    static const char start[] = "t:3: error: pools.app.health";
    char text[3072];
    snprintf(text, sizeof text, "health = { %s }", settings);
    const char *errors = bad_pool(text);
    CHECK(strncmp(errors, start, strlen(start)) == 0);
    return errors + strlen(start);
}

TEST(http)
{
    const struct conf_health *h = health_of(
        "method = \"HEAD\", headers = ( ( \"X-A\", \"1\" ), ( \"X-B\", \"\" ) ), expect = \"204\"");
    CHECK_STR(h->method, "HEAD");
    CHECK_EQ(h->header_count, 2);
    CHECK_STR(h->headers[1].name, "X-B");
    CHECK_STR(h->headers[1].value, "");
    CHECK_EQ(h->expect_count, 1);
    CHECK_EQ(h->expect_bytes.len, 0);
    CHECK_STR(h->body, "");
}

TEST(bytes)
{
    const struct conf_health *h =
        health_of("type = \"tcp\", send = \"A\\r\\n\\xff\\\\x00\\\\\\\\\", expect = \"\\\\x00b\"");
    CHECK_EQ(h->send.len, 6);
    CHECK(memcmp(h->send.data, "A\r\n\xff\0\\", 6) == 0);
    CHECK_EQ(h->expect_bytes.len, 2);
    CHECK(memcmp(h->expect_bytes.data, "\0b", 2) == 0);
    CHECK_EQ(h->expect_count, 0);
}

TEST(bad_bytes)
{
    CHECK_STR(bad_health("type = \"tcp\", send = \"\\\\q\""),
              ".send: has an unknown escape: there are \\\\ \\r \\n \\t \\xHH\n");
    CHECK_STR(bad_health("type = \"udp\", expect = \"\\\\x0\""),
              ".expect: has an unknown escape: there are \\\\ \\r \\n \\t \\xHH\n");
    CHECK_STR(bad_health("type = \"tcp\", expect = \"\""),
              ".expect: is empty: everything would match\n");
    CHECK_STR(bad_health("type = \"tcp\", expect = [ \"a\", \"b\" ]"),
              ".expect: is one text in a tcp or udp check\n");
    CHECK_STR(bad_health("type = \"tcp\", send = 5"), ".send: wants a string, found 5\n");
}

TEST(bad_http)
{
    CHECK_STR(bad_health("method = \"get\""), ".method: \"get\" is not one of: GET, HEAD, OPTIONS, "
                                              "POST, PUT; did you mean \"GET\"?\n");
    CHECK_STR(bad_health("headers = \"X\""),
              ".headers: wants a list ( ) of at most 64 pairs ( \"name\", \"value\" ), found "
              "\"X\"\n");
    CHECK_STR(bad_health("headers = ( \"X\" )"),
              ".headers[0]: wants a pair such as ( \"X-Name\", \"value\" ), found \"X\"\n");
    CHECK_STR(bad_health("headers = ( ( \"X Y\", \"1\" ) )"),
              ".headers[0]: \"X Y: 1\" is not a header field\n");
    CHECK_STR(bad_health("headers = ( ( \"X\", \"a\\r\\nb: c\" ) )"),
              ".headers[0]: \"X: a??b: c\" is not a header field\n");
    CHECK_STR(bad_health("headers = ( ( \"host\", \"x\" ) )"),
              ".headers: \"Host\" cannot be set here: set \"host\"\n");
    CHECK_STR(bad_health("headers = ( ( \"Content-Length\", \"1\" ) )"),
              ".headers: \"Content-Length\" cannot be set here\n");
    CHECK_STR(bad_health("method = \"HEAD\", body = \"x\""),
              ": the answer to HEAD has no \"body\"\n");
}

TEST(headers_are_bounded)
{
    char value[2100], text[2200];
    memset(value, 'x', sizeof value);
    value[sizeof value - 1] = '\0';
    snprintf(text, sizeof text, "headers = ( ( \"X\", \"%s\" ) )", value);
    CHECK_STR(bad_health(text), ".headers: is longer than 2048 bytes\n");
}

TEST(what_a_type_does_not_have)
{
    CHECK_STR(bad_health("type = \"tcp\", path = \"/x\""),
              ": \"path\" means nothing with type = \"tcp\"\n");
    CHECK_STR(bad_health("send = \"x\""), ": \"send\" means nothing with type = \"http\"\n");
    CHECK_STR(bad_health("type = \"tls\", tls = true"),
              ": \"tls\" means nothing with type = \"tls\"\n");
    CHECK_STR(bad_health("type = \"grpc\", expect = \"200\""),
              ": \"expect\" means nothing with type = \"grpc\"\n");
    CHECK_STR(bad_health("type = \"udp\", verify = true"),
              ": \"verify\" means nothing with type = \"udp\"\n");
    CHECK_STR(bad_health("service = \"x\""), ": \"service\" means nothing with type = \"http\"\n");
    CHECK_STR(bad_health("sni = \"x\""), ": \"sni\" means nothing without tls = true\n");
    CHECK_STR(bad_health("type = \"quic\""),
              ".type: \"quic\" is not one of: none, http, tcp, tls, grpc, udp\n");
    CHECK_EQ(health_of("type = \"none\", path = \"/x\"")->type, CONF_HEALTH_NONE);
}

TEST(issuers)
{
    CHECK_STR(bad_health("type = \"tls\", verify = true, ca = \"/nonexistent\""),
              ".ca: cannot read \"/nonexistent\": No such file or directory\n");
    CHECK_STR(bad_health("type = \"tls\", verify = true, ca = \"/proc/self/status\""),
              ".ca: \"/proc/self/status\" holds no certificate in PEM format\n");
}

/* `expect` is two things: what defaults say is for http unless they say otherwise. */
TEST(inherited_expectations)
{
    const struct conf *c = load_good("defaults = { health = { expect = \"204\" } }\n" WEB
                                     "pools = { app = { backends = [ ] }, t = { backends = [ ], "
                                     "health = { type = \"tcp\" } } }");
    CHECK_EQ(c->pools[0].health.expect[0].from, 204);
    CHECK_EQ(c->pools[1].health.expect_bytes.len, 0);
    c = load_good("defaults = { health = { type = \"tcp\", expect = \"hi\" } }\n" WEB
                  "pools = { app = { backends = [ ] }, h = { backends = [ ], health = { type = "
                  "\"http\" } } }");
    CHECK_EQ(c->pools[0].health.expect_bytes.len, 2);
    CHECK_EQ(c->pools[1].health.expect[0].to, 299);
}

TEST(of_one_backend)
{
    const struct conf *c = load_good(
        WEB "pools = { app = { backends = ( \"10.0.0.1:1\",\n"
            "{ address = \"10.0.0.2:1\", health = { path = \"/b\", interval = \"1s\" } },\n"
            "{ address = \"10.0.0.3:1\", health = { type = \"tcp\", expect = \"hi\" } } )\n"
            "health = { path = \"/a\", port = 99, expect = \"204\" } } }");
    const struct conf_backend *b = c->pools[0].backends;
    CHECK(b[0].health == NULL);
    CHECK_STR(b[1].health->path, "/b");
    CHECK_EQ(b[1].health->port, 99);
    CHECK_EQ(b[1].health->interval_ms, 1000);
    CHECK_EQ(b[1].health->expect[0].from, 204);
    CHECK_EQ(b[2].health->type, CONF_HEALTH_TCP);
    CHECK_EQ(b[2].health->expect_bytes.len, 2);
    CHECK_EQ(c->pools[0].health.expect_bytes.len, 0);
}

TEST(bad_for_one_backend)
{
    CHECK_STR(load_bad(WEB "pools = { app = { backends = ( { address = \"10.0.0.2:1\",\n"
                           "health = { type = \"tcp\", path = \"/b\", expct = \"1\" } } ) } }"),
              "t:3: error: pools.app.backends[0].health: unknown setting \"expct\", did you mean "
              "\"expect\"?\n"
              "t:3: error: pools.app.backends[0].health: \"path\" means nothing with type = "
              "\"tcp\"\n");
    CHECK_STR(load_bad(WEB "pools = { app = { backends = ( { address = \"unix:/x\",\n"
                           "health = { type = \"udp\" } } ) } }"),
              "t:2: error: pools.app: \"unix:/x\" is a unix socket, and health.type is udp\n");
    CHECK_STR(load_bad(WEB "pools = { app = { backends = ( { address = \"unix:/x\",\n"
                           "health = 5 } ) } }"),
              "t:3: error: pools.app.backends[0].health: wants a group { }, found 5\n");
}
