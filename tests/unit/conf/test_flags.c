/* `ballast run --listen ... --backend ...` */
#include "tests/unit/conf/conf_fixture.h"

static struct arena flags_arena;

static const char *text_of(struct conf_flags *flags)
{
    arena_free(&flags_arena);
    arena_init(&flags_arena);
    return conf_from_flags(flags, &flags_arena);
}

/* The errors of one wrong --backend. */
static const char *bad_backend(const char *backend)
{
    struct conf_flags flags = {.listen = {"127.0.0.1:1"}, .listen_count = 1};
    flags.backends[0] = backend;
    flags.backend_count = 1;
    return load_bad(text_of(&flags));
}

TEST(smallest)
{
    struct conf_flags flags = {.listen = {"127.0.0.1:8080"},
                               .listen_count = 1,
                               .backends = {"127.0.0.1:8001", "127.0.0.1:8002,weight=3"},
                               .backend_count = 2};
    const struct conf *c = load_good(text_of(&flags));
    CHECK_EQ(c->listener_count, 1);
    CHECK_STR(c->listeners[0].name, "web");
    CHECK_STR(c->listeners[0].binds[0].text, "127.0.0.1:8080");
    CHECK_EQ(c->pool_count, 1);
    CHECK_STR(c->pools[0].name, "app");
    CHECK_STR(c->pools[0].balance, "round_robin");
    CHECK_EQ(c->pools[0].backend_count, 2);
    CHECK_EQ(c->pools[0].backends[0].weight, 1);
    CHECK_EQ(c->pools[0].backends[1].weight, 3);
    CHECK_STR(c->pid_file, "");
    CHECK_STR(c->admin.binds[0].text, "127.0.0.1:9900");
}

TEST(all)
{
    struct conf_flags flags = {.listen = {"127.0.0.1:1", "[::1]:1"},
                               .listen_count = 2,
                               .backends = {"10.0.0.1:1,weight=2,max_connections=5,backup,name=7",
                                            "unix:/run/x,backup=false,name=b"},
                               .backend_count = 2,
                               .algorithm = "least_connections",
                               .admin = "127.0.0.1:9",
                               .log_level = "debug",
                               .workers = "2"};
    const struct conf *c = load_good(text_of(&flags));
    CHECK_EQ(c->listeners[0].bind_count, 2);
    CHECK_STR(c->pools[0].balance, "least_connections");
    const struct conf_backend *b = c->pools[0].backends;
    CHECK_STR(b[0].name, "7");
    CHECK_EQ(b[0].max_connections, 5);
    CHECK(b[0].backup);
    CHECK_STR(b[1].name, "b");
    CHECK(!b[1].backup);
    CHECK_STR(c->admin.binds[0].text, "127.0.0.1:9");
    CHECK_STR(c->log.level, "debug");
    CHECK_EQ(c->workers, 2);
}

TEST(admin_off_and_auto)
{
    struct conf_flags flags = {
        .listen = {"*:1"}, .listen_count = 1, .admin = "off", .workers = "auto"};
    const struct conf *c = load_good(text_of(&flags));
    CHECK(c->admin.off);
    CHECK(c->workers_auto);
    CHECK_EQ(c->pools[0].backend_count, 0);
}

TEST(wrong)
{
    CHECK(strstr(bad_backend("10.0.0.1:1,wieght=3"),
                 "unknown setting \"wieght\", did you mean \"weight\"?\n"));
    CHECK(
        strstr(bad_backend("10.0.0.1:1,weight=x"), "weight: wants a whole number, found \"x\"\n"));
    CHECK(strstr(bad_backend("10.0.0.1:1,weight=300"), "weight: 300 is out of range: 0 to 256\n"));
    CHECK(strstr(bad_backend("10.0.0.1:1,weight=007"), "007 begins with 0"));
    CHECK(strstr(bad_backend("10.0.0.1:1,weight"), "weight: wants a whole number, found true\n"));
    CHECK(strstr(bad_backend("nowhere:1"), "\"nowhere:1\": no such host\n"));
    CHECK(strstr(bad_backend(""), "\"\": "));
}

TEST(nothing_can_be_smuggled_in)
{
    CHECK(strstr(bad_backend("10.0.0.1:1\", weight = 5, name = \"x"),
                 "\"10.0.0.1:1\"\": no such host\n"));
    CHECK(strstr(bad_backend("10.0.0.1:1, weight = 5"), "unknown setting \"x-weight-\""));
    CHECK(strstr(bad_backend("10.0.0.1:1,x = 1 } ) } } workers = 9 #"), "unknown setting \"x-\""));
    CHECK(strstr(bad_backend("10.0.0.1:1,weight=1 }"),
                 "weight: wants a whole number, found \"1 }\"\n"));
    CHECK(strstr(bad_backend("10.0.0.1:1,"), "unknown setting \"x\""));
    struct conf_flags flags = {.listen = {"*:1"}, .listen_count = 1, .workers = "1 user = 2"};
    CHECK(strstr(load_bad(text_of(&flags)),
                 "workers: wants a whole number or \"auto\", found \"1 user = 2\"\n"));
}
