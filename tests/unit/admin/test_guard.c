/* Who may ask: Host, Origin, token. */
#include "tests/unit/harness.h"

#include "admin/guard.h"

static unsigned host_status(const char *host, const char *bind_host, bool loopback)
{
    struct request q = {.host = host, .bind_host = bind_host, .bind_loopback = loopback};
    struct response r;
    response_init(&r);
    bool passed = guard_host(&q, &r);
    unsigned status = passed ? 200 : r.status;
    response_free(&r);
    return status;
}

TEST(host_names_this_machine_on_loopback)
{
    static const char *const good[] = {"127.0.0.1",   "127.0.0.1:9900", "[::1]:9900",
                                       "[::1]",       "localhost",      "LOCALHOST:9900",
                                       "10.1.2.3:80", "lb.internal",    "lb.internal:9900"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        CHECK_EQ(host_status(good[i], "lb.internal", true), 200);
}

TEST(host_of_another_name_is_refused_on_loopback)
{
    static const char *const bad[] = {"evil.example",
                                      "evil.example:9900",
                                      "localhost.evil.example",
                                      "127.0.0.1.evil.org",
                                      "[::1",
                                      "[]:80",
                                      "localhost:80x",
                                      "",
                                      ":80",
                                      "localhost:123456789"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_EQ(host_status(bad[i], "127.0.0.1", true), 403);
}

TEST(host_is_not_checked_elsewhere)
{
    CHECK_EQ(host_status("lb.example", "0.0.0.0", false), 200);
    CHECK_EQ(host_status(NULL, "127.0.0.1", true), 200);
}

static bool origin_passes(const char *origin, const char *host)
{
    struct request q = {.origin = origin, .host = host};
    struct response r;
    response_init(&r);
    bool passed = guard_origin(&q, &r);
    CHECK(passed || r.status == 403);
    response_free(&r);
    return passed;
}

TEST(origin_must_be_our_own)
{
    CHECK(origin_passes(NULL, "localhost:9900"));
    CHECK(origin_passes("http://localhost:9900", "localhost:9900"));
    CHECK(origin_passes("http://LocalHost:9900", "localhost:9900"));
    CHECK(origin_passes("http://lb", "lb:80"));
    CHECK(origin_passes("https://lb:443", "lb"));
    CHECK(origin_passes("http://[::1]:9900", "[::1]:9900"));
    CHECK(!origin_passes("http://evil.example", "localhost:9900"));
    CHECK(!origin_passes("http://localhost:9901", "localhost:9900"));
    CHECK(!origin_passes("http://localhost", "localhost:9900"));
    CHECK(!origin_passes("null", "localhost:9900"));
    CHECK(!origin_passes("", "localhost:9900"));
    CHECK(!origin_passes("file://", "localhost:9900"));
    CHECK(!origin_passes("http://localhost:9900", NULL));
    CHECK(!origin_passes("chrome-extension://localhost:9900", "localhost:9900"));
}

static unsigned token_status(const char *token, const char *sent, bool *challenged)
{
    struct request q = {.authorization = sent};
    struct response r;
    response_init(&r);
    bool passed = guard_token(token, &q, &r);
    *challenged = strstr(r.headers, "WWW-Authenticate: Bearer") != NULL;
    unsigned status = passed ? 200 : r.status;
    response_free(&r);
    return status;
}

TEST(token_is_compared_whole)
{
    bool challenged;
    CHECK_EQ(token_status("", NULL, &challenged), 200);
    CHECK_EQ(token_status("secret", "Bearer secret", &challenged), 200);
    CHECK_EQ(token_status("secret", "bearer  secret", &challenged), 200);
    CHECK(!challenged);
    static const char *const bad[] = {"Bearer secre", "Bearer secrets", "Bearer Secret", "Bearer ",
                                      "Bearersecret", "Basic secret",   "secret",        ""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK_EQ(token_status("secret", bad[i], &challenged), 401);
        CHECK(challenged);
    }
    CHECK_EQ(token_status("secret", NULL, &challenged), 401);
    CHECK(challenged);
}
