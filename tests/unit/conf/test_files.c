/* Files: includes, paths, what cannot be read. */
#include "tests/unit/conf/conf_fixture.h"

#define POOL(name) name " = { backends = [ \"127.0.0.1:1\" ] }\n"

TEST(includes_are_relative_and_sorted)
{
    enter_dir();
    CHECK(mkdir("etc", 0755) == 0 && mkdir("etc/conf.d", 0755) == 0 &&
          mkdir("etc/conf.d/more", 0755) == 0);
    write_file("etc/b.conf",
               "listeners = { web = { bind = \"*:80\", pool = \"a\" } }\n"
               "pools = {\n  @include \"conf.d/*.conf\"\n}\n@include \"conf.d/none-*.conf\"\n"
               "# @include \"nothing\"\n/*\n@include \"nothing\"\n*/");
    write_file("etc/conf.d/20.conf", POOL("c"));
    write_file("etc/conf.d/10.conf", POOL("a") "@include \"more/b.conf\"");
    write_file("etc/conf.d/more/b.conf", POOL("b"));
    const struct conf *c = load_file("etc/b.conf");
    CHECK(c);
    CHECK_EQ(c->pool_count, 3);
    CHECK_STR(c->pools[0].name, "a");
    CHECK_STR(c->pools[1].name, "b");
    CHECK_STR(c->pools[1].pos.file, "etc/conf.d/more/b.conf");
    CHECK_EQ(c->pools[1].pos.line, 1);
    CHECK_STR(c->pools[2].name, "c");
    char path[128];
    snprintf(path, sizeof path, "%s/etc/b.conf", fixture_dir);
    CHECK_STR(c->path, path);
}

TEST(includes_in_a_list)
{
    enter_dir();
    write_file("b.conf", "listeners = { web = { bind = \"*:80\", pool = \"a\" } }\n"
                         "pools = { a = { backends = ( @include \"one\" , @include \"two\" ) } }");
    write_file("one", "\"127.0.0.1:1\"");
    write_file("two", "{ address = \"127.0.0.1:2\" }, \"127.0.0.1:3\",");
    const struct conf *c = load_file("b.conf");
    CHECK(c);
    CHECK_EQ(c->pools[0].backend_count, 3);
    CHECK_STR(c->pools[0].backends[2].pos.file, "two");
}

TEST(errors_name_their_file)
{
    enter_dir();
    CHECK(mkdir("d", 0755) == 0);
    write_file("b.conf", "workers = 0\n@include \"d/z.conf\"\nfoo = 1\n");
    write_file("d/z.conf",
               "\nlisteners = { web = { bind = \"*:80\", pool = \"q\" } }\npools2 = 5\nbar = 01");
    CHECK_STR(bad_file("b.conf"),
              "b.conf:1: error: workers: 0 is out of range: 1 to 56\n"
              "b.conf:3: error: unknown setting \"foo\"\n"
              "d/z.conf:2: error: listeners.web.pool: there is no pool \"q\"\n"
              "d/z.conf:3: error: unknown setting \"pools2\", did you mean \"pools\"?\n"
              "d/z.conf:4: error: 01 begins with 0, which some read as octal: write 1\n");
}

TEST(brackets_do_not_cross_files)
{
    enter_dir();
    write_file("b.conf", "pools = {\n@include \"x\"\n}\n");
    write_file("x", "a = {\n");
    CHECK_STR(bad_file("b.conf"), "x:1: error: this \"{\" is never closed\n");
    write_file("x", "}\n");
    CHECK_STR(bad_file("b.conf"), "x:1: error: there is no open bracket for this \"}\"\n");
}

TEST(duplicates_across_files)
{
    enter_dir();
    write_file("b.conf", MINIMAL "@include \"x\"\n");
    write_file("x", "workers = 1\npools = { }\n");
    CHECK_STR(bad_file("b.conf"), "x:2: error: \"pools\" is set twice; first at b.conf:2\n");
}

TEST(what_cannot_be_read)
{
    enter_dir();
    CHECK_STR(bad_file("none.conf"), "none.conf: error: cannot read: No such file or directory\n");
    CHECK_STR(bad_file("."), ".: error: cannot read: Is a directory\n");
    write_file("b.conf", MINIMAL "@include \"none\"\n@include \"/dev/null\"\n@include \".\"");
    CHECK_STR(bad_file("b.conf"),
              "b.conf:3: error: cannot read \"none\": No such file or directory\n"
              "b.conf:4: error: cannot read \"/dev/null\": not a regular file\n"
              "b.conf:5: error: cannot read \".\": Is a directory\n");
    if (geteuid() != 0) {
        CHECK(chmod("b.conf", 0) == 0);
        CHECK_STR(bad_file("b.conf"), "b.conf: error: cannot read: Permission denied\n");
    }
}

TEST(loops)
{
    enter_dir();
    write_file("b.conf", "@include \"x\"\n");
    write_file("x", "\n@include \"b.conf\"");
    CHECK_STR(bad_file("b.conf"), "x:2: error: \"b.conf\" includes itself\n");
    write_file("x", "@include \"./x\"");
    CHECK_STR(bad_file("b.conf"),
              "./././././././x:1: error: @include is nested more than 8 deep\n");
}

TEST(depth)
{
    enter_dir();
    for (int i = 1; i <= 9; i++) {
        char path[16], text[32];
        snprintf(path, sizeof path, "%d", i);
        snprintf(text, sizeof text, "@include \"%d\"", i + 1);
        write_file(path, i == 9 ? MINIMAL : text);
    }
    CHECK(load_file("1")); /* eight below the first */
    write_file("9", "@include \"10\"");
    write_file("10", MINIMAL);
    CHECK_STR(bad_file("1"), "9:1: error: @include is nested more than 8 deep\n");
}

TEST(a_bomb_is_defused)
{
    enter_dir();
    char text[16384] = "";
    for (int i = 0; i < 100; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "@include \"b\"\n");
    write_file("a", text);
    for (char *at = text; (at = strstr(at, "\"b\"")); at += 3)
        at[1] = 'c';
    write_file("b", text);
    write_file("c", "");
    CHECK(strstr(bad_file("a"), "more than 4096 files are read") != NULL);
}

TEST(directory_with_pattern_characters)
{
    enter_dir();
    CHECK(mkdir("a[b]*", 0755) == 0);
    write_file("a[b]*/b.conf", MINIMAL "@include \"x?.conf\"");
    write_file("a[b]*/x1.conf", "workers = 4");
    const struct conf *c = load_file("a[b]*/b.conf");
    CHECK(c);
    CHECK_EQ(c->workers, 4);
}

TEST(pipe)
{
    enter_dir();
    int ends[2];
    char path[32];
    CHECK(pipe(ends) == 0);
    CHECK_EQ(write(ends[1], MINIMAL, strlen(MINIMAL)), strlen(MINIMAL));
    CHECK(close(ends[1]) == 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    CHECK(load_file(path) != NULL);
}

TEST(paths_are_relative_to_the_file)
{
    enter_dir();
    CHECK(mkdir("etc", 0755) == 0);
    write_file("etc/token", "s3cret\n");
    write_file("etc/b.conf", MINIMAL "pid_file = \"run/b.pid\"\nlog = { target = \"./b.log\" }\n"
                                     "admin = { bind = \"0.0.0.0:99\", token_file = \"token\" }");
    const struct conf *c = load_file("etc/b.conf");
    CHECK(c);
    char path[128];
    snprintf(path, sizeof path, "%s/etc/run/b.pid", fixture_dir);
    CHECK_STR(c->pid_file, path);
    snprintf(path, sizeof path, "%s/etc/./b.log", fixture_dir);
    CHECK_STR(c->log.target, path);
    snprintf(path, sizeof path, "%s/etc/token", fixture_dir);
    CHECK_STR(c->admin.token_file, path);
    CHECK_STR(c->admin.token, "s3cret");
}

static const char *bad_token(const char *contents)
{
    static char text[256];
    write_file("token", contents);
    snprintf(text, sizeof text, MINIMAL "admin = { token_file = \"%s/token\" }", fixture_dir);
    return load_bad(text);
}

TEST(token_file)
{
    char wanted[256];
    enter_dir();
    snprintf(wanted, sizeof wanted, "t:3: error: admin.token_file: \"%s/token\" is empty\n",
             fixture_dir);
    CHECK_STR(bad_token(""), wanted);
    CHECK_STR(bad_token(" \n\n"), wanted);
    snprintf(
        wanted, sizeof wanted,
        "t:3: error: admin.token_file: \"%s/token\" is not one line of visible ASCII characters\n",
        fixture_dir);
    CHECK_STR(bad_token("a b"), wanted);
    CHECK_STR(bad_token("a\nb\n"), wanted);
    CHECK_STR(bad_top("admin = { token_file = \"/nowhere/token\" }"),
              "t:3: error: admin.token_file: cannot read \"/nowhere/token\": No such file or "
              "directory\n");
    CHECK_STR(bad_top("admin = { token_file = \"/dev/zero\" }"),
              "t:3: error: admin.token_file: cannot read \"/dev/zero\": not a regular file\n");
}

TEST(nul_byte)
{
    enter_dir();
    int fd = open("b.conf", O_WRONLY | O_CREAT, 0644);
    CHECK_EQ(write(fd, "work\0ers = 1\n", 13), 13);
    CHECK(close(fd) == 0);
    CHECK_STR(bad_file("b.conf"),
              "b.conf: error: contains a NUL byte: is this a configuration file?\n"
              "b.conf:1: error: \"work\" has no value\n");
}
