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
    const char *said = plan_of(fixture_one.conf, fixture_two.conf);
    CHECK(strstr(said, "the contents of /") == said && strstr(said, "/token change\n"));
}

/* ---- routes, by what they match ---- */

static const char *routed(const char *from, const char *to)
{
    static struct arena arena;
    arena_free(&arena);
    arena_init(&arena);
    const char *frame =
        "listeners = { web = { bind = \"*:80\", pool = \"app\", routes = ( %s ) } }\n"
        "pools = { app = { backends = [ \"10.0.0.1:1\" ] }, "
        "two = { backends = [ \"10.0.0.2:1\" ] } }\n";
    char *a = NULL, *b = NULL;
    CHECK(asprintf(&a, frame, from) > 0 && asprintf(&b, frame, to) > 0);
    const char *text = arena_printf(&arena, "%s", plan(a, b));
    free(a);
    free(b);
    return text;
}

TEST(routes_come_and_go)
{
    CHECK_STR(routed("{ path = \"/a/\", pool = \"app\" }", "{ path = \"/a/\", pool = \"app\" }"),
              "");
    CHECK_STR(routed("{ path = \"/a/\", pool = \"app\" }",
                     "{ path = \"/b/\", host = \"x.example\", pool = \"app\" }"),
              "listener web: route path [ \"/a/\" ] removed\n"
              "listener web: route host [ \"x.example\" ], path [ \"/b/\" ] added\n");
}

TEST(a_route_changes)
{
    CHECK_STR(routed("{ path = \"/a/\", pool = \"app\" }", "{ path = \"/a/\", pool = \"two\" }"),
              "listener web: route path [ \"/a/\" ]: pool: \"app\" -> \"two\"\n");
    CHECK_STR(
        routed("{ path = \"/a/\", pool = \"app\" }",
               "{ path = \"/a/\", pool = \"app\", timeouts = { total = \"5s\" }, priority = 3 }"),
        "listener web: route path [ \"/a/\" ]: priority: nothing -> 3\n"
        "listener web: route path [ \"/a/\" ]: timeouts.total: nothing -> \"5s\"\n");
}

TEST(routes_with_the_same_conditions_and_another_order)
{
    CHECK_STR(routed("{ path = \"/a/\", pool = \"app\" }, { path = \"/b/\", pool = \"app\" }",
                     "{ path = \"/b/\", pool = \"app\" }, { path = \"/a/\", pool = \"app\" }"),
              "listener web: routes: their order changes\n");
}

#define WHEN(path)                                                                                 \
    "conditions = { c = { path = \"" path "\" } }\n"                                               \
    "listeners = { web = { bind = \"*:80\", routes = ( { when = \"c\", pool = \"app\" } ) } "      \
    "}\n" POOL(A)

TEST(conditions)
{
    CHECK_STR(plan(WHEN("/a"), WHEN("/a")), "");
    CHECK_STR(plan(WHEN("/a"), WHEN("/b")), "condition c: path: [ \"/a\" ] -> [ \"/b\" ]\n");
    CHECK_STR(plan(WEB POOL(A), "conditions = { c = { path = \"/x\" } }\n" WEB POOL(A)),
              "condition c added\n");
}

/* ---- files whose contents change ---- */

/* The file is read at each load. */
static const char *plan_with(const char *conf, const char *before, const char *after)
{
    enter_dir();
    write_file("file", before);
    CHECK(load_into(&fixture_one, conf));
    write_file("file", after);
    CHECK(load_into(&fixture_two, conf));
    return plan_of(fixture_one.conf, fixture_two.conf);
}

#define HASH "{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=\n"
#define WITH(setting)                                                                              \
    "listeners = { web = { bind = \"*:80\", pool = \"app\", " setting " } }\n" POOL(A)

TEST(a_file_that_stays)
{
    CHECK_STR(plan_with(WITH("auth = { basic = \"file\" }"), "u:" HASH, "u:" HASH), "");
}

TEST(a_password_file)
{
    const char *text = plan_with(WITH("auth = { basic = \"file\" }"), "u:" HASH, "v:" HASH);
    CHECK(strstr(text, "the contents of ") == text && strstr(text, "file change\n"));
}

/* As of when they were written down, whatever is in the files by now. */
TEST(fingerprints_from_lines)
{
    const char *conf = WITH("error_pages = ( { status = \"503\", file = \"file\" } )");
    CHECK(*plan_with(conf, "one", "two"));
    char *lines = conf_fingerprints(fixture_one.conf);
    CHECK(lines != NULL);
    struct conf *again = load_into(&fixture_one, conf) ? fixture_one.conf : NULL;
    CHECK(again && !*plan_of(again, fixture_two.conf));
    conf_take_fingerprints(again, lines, &fixture_one.arena);
    CHECK(strstr(plan_of(again, fixture_two.conf), "file change\n"));
    conf_take_fingerprints(again, "# nothing\n# contents x y\n#", &fixture_one.arena);
    CHECK_STR(plan_of(again, fixture_two.conf), "");
    free(lines);
}
