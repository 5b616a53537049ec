/* What libconfig would misread, or report badly: seen before it. */
#include "tests/unit/conf/conf_fixture.h"

#define MANY(x) x x x x x x x x

TEST(smallest_file)
{
    const struct conf *c = load_good(
        "listeners = { web = { bind = \"*:8080\", pool = \"app\" } }\n"
        "pools     = { app = { backends = [ \"127.0.0.1:9001\", \"127.0.0.1:9002\" ] } }");
    CHECK_EQ(c->listener_count, 1);
    CHECK_STR(c->listeners[0].binds[0].text, "*:8080");
    CHECK_EQ(c->pools[0].backend_count, 2);
    CHECK_STR(c->pools[0].backends[1].name, "127.0.0.1:9002");
}

TEST(tolerated)
{
    load_good("\xef\xbb\xbf" MINIMAL);
    load_good(MINIMAL "# a comment without a newline");
    load_good(MINIMAL "// another");
    load_good(MINIMAL "/* and\n another */");
    load_good("pools={app={backends=(\"127.0.0.1:1\",),},};listeners={web={bind=[\"*:80\",];pool:"
              "\"app\";};};");
    load_good("listeners : { web : { bind : \"*:80\"; pool : \"app\" } }\r\npools = { app = { "
              "backends = () } }\r\n");
    load_good(MINIMAL "workers = 0x2\nmax_connections = 5000L\n");
    load_good(MINIMAL "log = { level = \"in\" \"fo\" }");
}

TEST(strings)
{
    const struct conf *c =
        load_good(MINIMAL "pid_file = \"/a\\\"b\\\\c\\x41#//@include \\\"x\\\"\"");
    CHECK_STR(c->pid_file, "/a\"b\\cA#//@include \"x\"");
    CHECK_STR(
        bad_top("pid_file = \"/a\\q\""),
        "t:3: error: unknown escape in a string: there are \\\\ \\\" \\n \\r \\t \\f \\xHH\n");
    CHECK_STR(
        bad_top("pid_file = \"/a\\x00b\""),
        "t:3: error: unknown escape in a string: there are \\\\ \\\" \\n \\r \\t \\f \\xHH\n");
    CHECK_STR(bad_top("pid_file = '/a b'\n"), "t:3: error: strings stand in double quotes\n");
}

TEST(integers_never_wrap)
{
    CHECK_STR(bad_top("max_connections = 3000000000"),
              "t:3: error: 3000000000 does not fit: a number is at most 2147483647\n");
    CHECK_STR(bad_top("max_connections = 4294967297"),
              "t:3: error: 4294967297 does not fit: a number is at most 2147483647\n");
    CHECK_STR(bad_top("max_connections = 99999999999999999999L"),
              "t:3: error: 99999999999999999999L does not fit: a number is at most 2147483647\n");
    CHECK_STR(bad_top("max_connections = 0xFFFFFFFF"),
              "t:3: error: 0xFFFFFFFF does not fit: a number is at most 2147483647\n");
    CHECK_STR(bad_top("max_connections = -1"),
              "t:3: error: max_connections: -1 is out of range: 1 to 10000000\n");
    CHECK_STR(bad_top("max_connections = 2147483647"),
              "t:3: error: max_connections: 2147483647 is out of range: 1 to 10000000\n");
}

TEST(leading_zeros)
{
    CHECK_STR(bad_top("max_connections = 0644"),
              "t:3: error: 0644 begins with 0, which some read as octal: write 644\n");
    CHECK_STR(bad_top("max_connections = 00"),
              "t:3: error: 00 begins with 0, which some read as octal: write 0\n");
    CHECK_EQ(load_good(MINIMAL "max_connections = 0x1A4")->max_connections, 420);
}

TEST(bare_words)
{
    CHECK_STR(bad_top("drain_timeout = 30s"), "t:3: error: 30s must be quoted: \"30s\"\n");
    CHECK_STR(bad_top("log = { level = debug }"), "t:3: error: debug must be quoted: \"debug\"\n");
    CHECK_STR(bad_top("admin = { bind = 127.0.0.1:9900 }"),
              "t:3: error: 127.0.0.1:9900 must be quoted: \"127.0.0.1:9900\"\n");
    CHECK_STR(bad_top("admin = { bind = unix:/run/x.sock }"),
              "t:3: error: unix:/run/x.sock must be quoted: \"unix:/run/x.sock\"\n");
    CHECK_STR(bad_top("pid_file = /run/x"), "t:3: error: /run/x must be quoted: \"/run/x\"\n");
    CHECK_STR(bad_listener("trusted = [ 10.0.0.0/8 ]"),
              "t:3: error: 10.0.0.0/8 must be quoted: \"10.0.0.0/8\"\n");
}

TEST(booleans)
{
    static const char *const settings[] = {"yes", "on", "no", "off"};
    static const char *const values[] = {"true", "true", "false", "false"};
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        char text[512], wanted[512];
        snprintf(text, sizeof text,
                 "listeners = { web = { bind = \"*:80\", pool = \"app\" } }\n"
                 "pools = { app = { backends = ( { address = \"127.0.0.1:1\", backup = %s } ) } }",
                 settings[i]);
        snprintf(wanted, sizeof wanted,
                 "t:2: error: %s is not a boolean: write %s (or \"%s\" where a word is meant)\n",
                 settings[i], values[i], settings[i]);
        CHECK_STR(load_bad(text), wanted);
    }
}

TEST(unclosed)
{
    CHECK_STR(load_bad("a = 1\nlisteners = {\n web = {\n bind = \"x\"\n}\n"),
              "t:2: error: this \"{\" is never closed\n");
    CHECK_STR(load_bad("pools = {\n x = (\n"), "t:1: error: this \"{\" is never closed\n"
                                               "t:2: error: this \"(\" is never closed\n");
    CHECK_STR(load_bad("\n\n/* and so on\n\n"), "t:3: error: this comment is never closed\n");
    CHECK_STR(bad_top("pid_file = \"/run/x\nuser = 5\n"),
              "t:3: error: this quote is not closed on its line\n"
              "t:4: error: user: wants a string, found 5\n");
    CHECK_STR(load_bad("a = }\n"), "t:1: error: \"a\" has no value\n"
                                   "t:1: error: there is no open bracket for this \"}\"\n");
    CHECK_STR(load_bad("a = {\n b = ( 1, 2 ]\n}\n"),
              "t:2: error: \"]\" does not close the \"(\" of t:2\n"
              "t:3: error: \"}\" does not close the \"(\" of t:2\n");
}

TEST(missing_signs)
{
    CHECK_STR(bad_top("log { level = \"info\" }"), "t:3: error: expected \"=\" after \"log\"\n");
    CHECK_STR(bad_top("user \"root\""), "t:3: error: expected \"=\" after \"user\"\n");
    CHECK_STR(bad_top("workers =\nuser = \"root\""), "t:3: error: \"workers\" has no value\n");
    CHECK_STR(bad_top("workers\nuser = \"root\""), "t:3: error: \"workers\" has no value\n");
    CHECK_STR(bad_top("workers"), "t:3: error: \"workers\" has no value\n");
    CHECK_STR(bad_top("workers = ;"), "t:3: error: \"workers\" has no value\n");
    CHECK_STR(bad_top("= 5"), "t:3: error: unexpected \"=\"\n"
                              "t:3: error: \"5\" cannot be a name: a letter comes first, then "
                              "letters, digits, _ and -\n"
                              "t:3: error: \"5\" has no value\n");
    CHECK_STR(bad_listener("trusted = [ \"10.0.0.0/8\" \"10.0.0.0/9\" ]"),
              "t:3: error: expected \",\" before \"10.0.0.0/9\"\n");
    CHECK_STR(bad_listener("trusted = [ , \"10.0.0.0/8\",, ]"), "t:3: error: unexpected \",\"\n"
                                                                "t:3: error: unexpected \",\"\n");
    CHECK_STR(bad_listener("trusted = [ \"10.0.0.0/8\"; ]"),
              "t:3: error: elements are separated by \",\", not \";\"\n");
}

TEST(names)
{
    CHECK_STR(bad_top("\"user\" = \"root\""),
              "t:3: error: a name is written without quotes: \"user\"\n");
    CHECK_STR(load_bad("pools = {\n 10g = { backends = [ ] }\n a.b = { backends = [ ] } }\n"
                       "listeners = { _x = { bind = \"*:1\", pool = \"p\" } }"),
              "t:2: error: \"10g\" cannot be a name: a letter comes first, then letters, digits, _ "
              "and -\n"
              "t:3: error: \"a.b\" cannot be a name: a letter comes first, then letters, digits, _ "
              "and -\n"
              "t:4: error: \"_x\" cannot be a name: a letter comes first, then letters, digits, _ "
              "and -\n");
    CHECK_STR(bad_top("pools = {}"), "t:3: error: \"pools\" is set twice; first at t:2\n");
    CHECK_STR(bad_listener("limits = { headers = 1\nheaders = 2 }\nlimits = { }"),
              "t:4: error: \"headers\" is set twice; first at t:3\n"
              "t:5: error: \"limits\" is set twice; first at t:3\n");
}

TEST(strange_bytes)
{
    CHECK_STR(bad_top("user = \"root\" \x01"), "t:3: error: unexpected byte 0x01\n");
    CHECK_STR(bad_top("@include"),
              "t:3: error: write @include \"FILE\", or @include \"DIR/*.conf\"\n");
    CHECK_STR(bad_top("@include \"x\""), "t:3: error: @include needs a file to be relative to\n");
    CHECK_STR(
        bad_top("log = { \xe2\x80\x9clevel = \"info\" }"),
        "t:3: error: \"\xe2\x80\x9clevel\" cannot be a name: a letter comes first, then letters, "
        "digits, _ and -\n");
}

TEST(brackets)
{
    CHECK_STR(bad_top("{ workers = 1 }"), "t:3: error: \"{\" without a name: write NAME = {\n");
    CHECK_STR(bad_pool("x = [ { y = 1 } ]"),
              "t:3: error: [ ] holds plain values: use ( ) for a list of groups\n");
    CHECK_STR(bad_top("x = " MANY(MANY("(")) MANY(MANY(")"))),
              "t:3: error: nested more than 31 deep\n");
}

TEST(libconfig_has_the_last_word)
{
    CHECK_STR(bad_listener("trusted = [ \"10.0.0.0/8\",\n 5 ]"),
              "t:4: error: mismatched element type in array at 5\n");
}

TEST(all_at_once)
{
    CHECK_STR(load_bad("workers = 01\nuser = root\nlog = { level = on }\nfoo = 1\n"
                       "listeners = { web = { bind = \"*:80\", pool = \"p\" } }\npools = {}"),
              "t:1: error: 01 begins with 0, which some read as octal: write 1\n"
              "t:2: error: root must be quoted: \"root\"\n"
              "t:3: error: on is not a boolean: write true (or \"on\" where a word is meant)\n"
              "t:4: error: unknown setting \"foo\"\n"
              "t:5: error: listeners.web.pool: there is no pool \"p\"\n");
}

TEST(a_flood_ends)
{
    char text[4096];
    memset(text, '$', sizeof text - 1);
    for (size_t i = 1; i < sizeof text; i += 2)
        text[i] = '\n';
    text[sizeof text - 1] = '\0';
    load_bad(text);
    CHECK_EQ(fixture_one.errors.count, 100);
    CHECK_STR(fixture_one.errors.last->text, "too many errors: is this a configuration file?");
}

TEST(a_huge_group)
{
    size_t cap = 16 * 9000, len = 0;
    char *text = malloc(cap);
    for (unsigned i = 0; i < 8193; i++)
        len += (size_t)snprintf(text + len, cap - len, "k%u = %u\n", i, i);
    CHECK_STR(load_bad(text), "t:8193: error: more than 8192 names in one group\n");
    free(text);
}
