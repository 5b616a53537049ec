/* Who may listen where. */
#include "tests/unit/conf/conf_fixture.h"

/* The errors of two listeners. */
static const char *two(const char *a, const char *b)
{
    char text[1024];
    snprintf(text, sizeof text,
             "pools = { p = { backends = [ ] } }\nlisteners = { a = { bind = %s, pool = \"p\" }\n"
             "b = { bind = %s, pool = \"p\" } }",
             a, b);
    fixture_init(&fixture_one);
    if (conf_load_text(text, "t", &fixture_one.arena, &fixture_one.errors))
        return "";
    return conf_errors_format(&fixture_one.errors);
}

static void check_clash(const char *a, const char *b)
{
    char quoted_a[64], quoted_b[64], wanted[256];
    snprintf(quoted_a, sizeof quoted_a, "\"%s\"", a);
    snprintf(quoted_b, sizeof quoted_b, "\"%s\"", b);
    snprintf(wanted, sizeof wanted,
             "t:3: error: listeners.b: \"%s\" clashes with \"%s\" of listeners.a at t:2\n", b, a);
    CHECK_STR(two(quoted_a, quoted_b), wanted);
    snprintf(wanted, sizeof wanted,
             "t:3: error: listeners.b: \"%s\" clashes with \"%s\" of listeners.a at t:2\n", a, b);
    CHECK_STR(two(quoted_b, quoted_a), wanted);
}

static void check_fine(const char *a, const char *b)
{
    char quoted_a[64], quoted_b[64];
    snprintf(quoted_a, sizeof quoted_a, "\"%s\"", a);
    snprintf(quoted_b, sizeof quoted_b, "\"%s\"", b);
    CHECK_STR(two(quoted_a, quoted_b), "");
    CHECK_STR(two(quoted_b, quoted_a), "");
}

TEST(clashes)
{
    check_clash("127.0.0.1:80", "127.0.0.1:80");
    check_clash("[::1]:80", "[::1]:80");
    check_clash("*:80", "*:80");
    check_clash("*:80", "127.0.0.1:80");
    check_clash("*:80", "[::1]:80");
    check_clash("*:80", "0.0.0.0:80");
    check_clash("*:80", "[::]:80");
    check_clash("0.0.0.0:80", "10.0.0.1:80");
    check_clash("[::]:80", "[fd00::1]:80");
    check_clash("unix:/run/a", "unix:/run/a");
}

TEST(neighbours)
{
    check_fine("127.0.0.1:80", "127.0.0.1:81");
    check_fine("127.0.0.1:80", "127.0.0.2:80");
    check_fine("*:80", "*:81");
    check_fine("0.0.0.0:80", "[::]:80"); /* IPv4 alone beside IPv6 alone */
    check_fine("0.0.0.0:80", "[::1]:80");
    check_fine("[::]:80", "127.0.0.1:80");
    check_fine("unix:/run/a", "unix:/run/b");
    check_fine("unix:/run/a", "*:80");
}

TEST(in_one_listener)
{
    CHECK_STR(
        bad_listener(
            "timeouts = { } }\nb = { pool = \"app\", bind = [ \"*:81\",\n\"127.0.0.1:81\" ]"),
        "t:5: error: listeners.b: \"127.0.0.1:81\" clashes with \"*:81\" of listeners.b at t:4\n");
}

TEST(with_admin)
{
    CHECK_STR(
        bad_top("admin = { bind = \"127.0.0.1:80\" }"),
        "t:1: error: listeners.web: \"*:80\" clashes with \"127.0.0.1:80\" of admin at t:3\n");
    CHECK_STR(two("\"*:9900\"", "\"*:81\""),
              "t:2: error: listeners.a: \"*:9900\" clashes with \"127.0.0.1:9900\" of admin\n");
}

TEST(each_bind_is_reported_once)
{
    CHECK_STR(
        two("[ \"127.0.0.1:80\", \"127.0.0.2:80\" ]", "[ \"*:80\", \"127.0.0.3:90\" ]"),
        "t:3: error: listeners.b: \"*:80\" clashes with \"127.0.0.2:80\" of listeners.a at t:2\n");
}

TEST(wrong_addresses)
{
    CHECK_STR(two("5", "[ ]"),
              "t:2: error: listeners.a.bind: wants an address such as \"*:8080\", found 5\n"
              "t:3: error: listeners.b.bind: is empty\n");
    CHECK(strstr(two("\"localhost\"", "\"*:1\""),
                 "t:2: error: listeners.a.bind: \"localhost\": ") != NULL);
    CHECK(strstr(two("[ \"*:1\", \"*:0\" ]", "\"*:2\""),
                 "t:2: error: listeners.a.bind[1]: \"*:0\": ") != NULL);
    CHECK(strstr(two("\"unix:x\"", "\"*:2\""), "t:2: error: listeners.a.bind: \"unix:x\": ") !=
          NULL);
}

TEST(admin_reachable_from_elsewhere)
{
    CHECK_STR(
        bad_top(
            "admin = { bind = [ \"127.0.0.1:1\",\n\"0.0.0.0:2\",\n\"unix:/run/x\", \"*:3\" ] }"),
        "t:4: error: admin: \"0.0.0.0:2\" can be reached from elsewhere: set \"token_file\", or "
        "bind to 127.0.0.1 or a unix socket\n"
        "t:5: error: admin: \"*:3\" can be reached from elsewhere: set \"token_file\", or bind to "
        "127.0.0.1 or a unix socket\n");
}

TEST(many_binds)
{
    char setting[2048] = "bind2 = [ ";
    for (unsigned i = 0; i < 65; i++)
        snprintf(setting + strlen(setting), sizeof setting - strlen(setting), "\"*:%u\",",
                 1000 + i);
    char text[4096];
    snprintf(
        text, sizeof text,
        "pools = { p = { backends = [ ] } }\nlisteners = { a = { pool = \"p\", bind = %s ] } }",
        setting + strlen("bind2 = "));
    CHECK_STR(load_bad(text), "t:2: error: listeners.a.bind: holds 65, and 64 is the most\n");
}
