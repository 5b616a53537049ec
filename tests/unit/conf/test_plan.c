/* What a reload would change, in words. */
#include "tests/unit/conf/conf_fixture.h"

static struct arena plan_arena;

static const char *plan_of(const struct conf *from, const struct conf *to)
{
    const char *text = "";
    arena_free(&plan_arena);
    arena_init(&plan_arena);
    for (const struct conf_change *c = conf_plan(from, to, &plan_arena); c; c = c->next)
        text = arena_printf(&plan_arena, "%s%s\n", text, c->text);
    return text;
}

static const char *plan(const char *from, const char *to)
{
    CHECK(load_into(&fixture_one, from) && load_into(&fixture_two, to));
    return plan_of(fixture_one.conf, fixture_two.conf);
}

#define WEB     "listeners = { web = { bind = \"*:80\", pool = \"app\" } }\n"
#define POOL(x) "pools = { app = { backends = ( " x " ) } }\n"
#define A       "{ name = \"a\", address = \"10.0.0.1:1\" }"
#define B       "{ name = \"b\", address = \"10.0.0.2:1\" }"

TEST(nothing)
{
    CHECK_STR(plan(MINIMAL, "# other words\n" MINIMAL), "");
    CHECK_STR(plan_of(NULL, NULL), "");
}

TEST(from_nothing)
{
    const struct conf *c = load_good(MINIMAL);
    CHECK_STR(plan_of(NULL, c), "listener web added\npool app added\n");
    CHECK_STR(plan_of(c, NULL), "listener web removed\npool app removed\n");
}

TEST(instance)
{
    CHECK_STR(plan(MINIMAL "workers = 1",
                   MINIMAL "workers = 2\nmax_connections = 7\nlog = { level = \"debug\" }"),
              "workers: 1 -> 2\nmax_connections: 50000 -> 7\nlog.level: \"info\" -> \"debug\"\n");
    CHECK_STR(plan(MINIMAL, MINIMAL "admin = \"off\""), "admin: turned off\n");
    CHECK_STR(plan(MINIMAL, MINIMAL "admin = { bind = \"127.0.0.1:1\" }"),
              "admin: bind: [ \"127.0.0.1:9900\" ] -> [ \"127.0.0.1:1\" ]\n");
}

TEST(backends)
{
    CHECK_STR(plan(WEB POOL(A ", " B), WEB POOL(B ", { name = \"c\", address = \"10.0.0.3:1\" }")),
              "pool app: backend a removed\npool app: backend c added\n");
    CHECK_STR(
        plan(WEB POOL(A),
             WEB POOL("{ name = \"a\", address = \"10.0.0.9:1\", weight = 5, backup = true }")),
        "pool app: backend a: address: \"10.0.0.1:1\" -> \"10.0.0.9:1\"\n"
        "pool app: backend a: weight: 1 -> 5\n"
        "pool app: backend a: backup: false -> true\n");
    CHECK_STR(plan(WEB POOL(A ", " B), WEB POOL(B ", " A)), "");
}

TEST(resolved_elsewhere)
{
    CHECK(load_into(&fixture_one, WEB POOL("\"h.test:1\"")) &&
          load_into(&fixture_two, WEB POOL("\"h.test:1\"")));
    struct net_addr *addr = &fixture_two.conf->pools[0].backends[0].addr;
    addr->u.in.sin_addr.s_addr = htonl(0xc0000202);
    CHECK_STR(
        plan_of(fixture_one.conf, fixture_two.conf),
        "pool app: backend h.test:1: h.test:1 resolves to 192.0.2.2:1, before to 192.0.2.1:1\n");
}

TEST(listeners_and_pools)
{
    CHECK_STR(plan("listeners = { web = { bind = \"*:80\", pool = \"app\" }, old = { bind = "
                   "\"*:81\", pool = \"app\" } }\n"
                   "pools = { app = { backends = [ ] }, gone = { backends = [ ] } }",
                   "listeners = { new = { bind = \"*:81\", pool = \"p\" }, web = { bind = [ "
                   "\"*:80\", \"*:90\" ], pool = \"p\"\n"
                   "timeouts = { idle = \"5s\" } } }\n"
                   "pools = { p = { backends = [ ] }, app = { backends = [ ], health = { path = "
                   "\"/x\" } } }"),
              "listener old removed\n"
              "listener new added\n"
              "listener web: bind: [ \"*:80\" ] -> [ \"*:80\", \"*:90\" ]\n"
              "listener web: pool: \"app\" -> \"p\"\n"
              "listener web: timeouts.idle: \"1m\" -> \"5s\"\n"
              "pool gone removed\n"
              "pool p added\n"
              "pool app: health.path: \"/health\" -> \"/x\"\n");
}

TEST(defaults_count_where_they_arrive)
{
    CHECK_STR(plan(MINIMAL, MINIMAL "defaults = { keepalive = 5 }"),
              "pool app: keepalive: 32 -> 5\n");
}

TEST(the_token_changes_unseen)
{
    char text[256];
    enter_dir();
    write_file("token", "one");
    snprintf(text, sizeof text, MINIMAL "admin = { token_file = \"%s/token\" }", fixture_dir);
    CHECK(load_into(&fixture_one, text));
    write_file("token", "two");
    CHECK(load_into(&fixture_two, text));
    CHECK_STR(plan_of(fixture_one.conf, fixture_two.conf), "admin: the token changes\n");
}
