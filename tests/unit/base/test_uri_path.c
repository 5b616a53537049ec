/* How paths are read: the two readings, and what is refused. */
#include "base/uri_path.h"
#include "tests/unit/harness.h"

static char scratch[3 * 256];

static int read_path(struct uri_path *u, const char *path)
{
    memset(scratch, 'x', sizeof scratch);
    return uri_path_read(u, path, (uint32_t)strlen(path), scratch);
}

static bool says(const char *at, uint32_t len, const char *wanted)
{
    if (len == strlen(wanted) && memcmp(at, wanted, len) == 0)
        return true;
    fprintf(stderr, "\"%.*s\" instead of \"%s\"\n", (int)len, at, wanted);
    return false;
}

/* Both readings of a path. */
static void check(const char *path, const char *plain, const char *literal)
{
    struct uri_path u;
    CHECK_EQ(read_path(&u, path), 0);
    CHECK(says(u.plain, u.plain_len, plain));
    CHECK(says(u.literal, u.literal_len, literal));
    if (strcmp(plain, literal) == 0)
        CHECK(u.plain == u.literal);
}

TEST(plain_paths_are_left_alone)
{
    static const char *const paths[] = {"/", "/a", "/a/b/", "/a.b/c..d/x...", "/a~b:c@d!$&'()*+,="};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct uri_path u;
        CHECK_EQ(read_path(&u, paths[i]), 0);
        CHECK(u.plain == paths[i]);
        CHECK(u.literal == paths[i]);
        CHECK(u.escaped == NULL);
    }
}

TEST(escapes_are_decoded_once)
{
    check("/a%20b", "/a b", "/a b");
    check("/%41%62", "/Ab", "/Ab");
    check("/%252e%252E/x", "/%2e%2E/x", "/%2e%2E/x");
    check("/caf%C3%A9", "/caf\xc3\xa9", "/caf\xc3\xa9");
    check("/a%2eb", "/a.b", "/a.b");
    check("/%0d%0aSet-Cookie:x", "/\r\nSet-Cookie:x", "/\r\nSet-Cookie:x");
}

TEST(dot_segments_and_empty_ones)
{
    check("/a/../b", "/b", "/a/../b");
    check("/a/./b", "/a/b", "/a/./b");
    check("/a/b/..", "/a/", "/a/b/..");
    check("/a/.", "/a/", "/a/.");
    check("/.", "/", "/.");
    check("/.well-known/x", "/.well-known/x", "/.well-known/x");
    check("/..a/.../b", "/..a/.../b", "/..a/.../b");
    check("//a", "/a", "//a");
    check("/a//b///", "/a/b/", "/a//b///");
}

TEST(parameters_and_other_slashes)
{
    check("/a;v=1/b", "/a/b", "/a;v=1/b");
    check("/a;x", "/a", "/a;x");
    check("/a\\b", "/a/b", "/a\\b");
    struct uri_path u;
    CHECK_EQ(read_path(&u, "/a%2Fb%2fc"), 0);
    CHECK(says(u.plain, u.plain_len, "/a/b/c"));
    CHECK_EQ(u.literal_len, 6u);
    CHECK(memcmp(u.literal, "/a\0b\0c", 6) == 0);
}

TEST(refused)
{
    static const char *const paths[] = {
        "/%",         "/%4",       "/%zz",       "/a%0",        "/%00",     "/a%00b",
        "/..",        "/../a",     "/a/../../b", "/./..",       "/%2e%2e/", "/a/%2e%2e/b",
        "/a/.%2e/b",  "/a/%2e/b",  "/a/..;/b",   "/a/..;x=1/b", "/a/.;/b",  "/a%2F../b",
        "/a/..%2Fb",  "/a\\..\\b", "/a/..\\b",   "/a/..%5cb",   "/a//../b", "/a/b;/..;",
        "/%2e%2e%2f", "/a/%2E%2E"};
    struct uri_path u;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (read_path(&u, paths[i]) != -1)
            fprintf(stderr, "not refused: %s\n", paths[i]);
        CHECK_EQ(read_path(&u, paths[i]), -1);
    }
}

TEST(written_back)
{
    static const char *const same[] = {"/a%20b", "/a%2Fb/c",   "/a;v=1/%3B", "/%0D%0Ax", "/a/b/",
                                       "/%25zz", "/caf%C3%A9", "/a%3Fb%23c", "/x'(y)*"};
    char out[512];
    struct uri_path u;
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        CHECK_EQ(read_path(&u, same[i]), 0);
        uint32_t n = uri_path_write(&u, 0, u.literal_len, out, sizeof out);
        CHECK(says(out, n, same[i]));
    }
    CHECK_EQ(read_path(&u, "/%41\\\"<>"), 0);
    CHECK(says(out, uri_path_write(&u, 0, u.literal_len, out, sizeof out), "/A%5C%22%3C%3E"));
    CHECK(says(out, uri_path_write(&u, 1, 1, out, 1), "A"));
    CHECK_EQ(uri_path_write(&u, 0, u.literal_len, out, 13), UINT32_MAX);
    CHECK_EQ(uri_path_write(&u, 0, u.literal_len, out, 14), 14u);
}

/* Whatever the bytes: readings stay inside the scratch, begin with a slash, and the plain one has
 * nothing left to resolve. */
TEST(any_bytes)
{
    static const char alphabet[] = "/./%2fFeE;\\a.5c0";
    uint64_t seed = 1;
    for (unsigned round = 0; round < 200000; round++) {
        char path[24], out[3 * 24], again[3 * sizeof out];
        uint32_t len = 1 + (uint32_t)(round % 20);
        path[0] = '/';
        for (uint32_t i = 1; i < len; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            path[i] = alphabet[(seed >> 33) % (sizeof alphabet - 1)];
        }
        struct uri_path u, v;
        char room[3 * 24];
        if (uri_path_read(&u, path, len, room) == -1)
            continue;
        CHECK(u.plain_len >= 1 && u.plain[0] == '/');
        CHECK(u.literal[0] == '/' && u.literal_len <= len);
        uint32_t n = uri_path_write(&u, 0, u.literal_len, out, sizeof out);
        CHECK_EQ(uri_path_read(&v, out, n, again), 0);
        CHECK_EQ(v.plain_len, u.plain_len);
        CHECK(memcmp(v.plain, u.plain, u.plain_len) == 0);
        for (uint32_t i = 0; i + 1 < u.plain_len; i++)
            CHECK(!(u.plain[i] == '/' && u.plain[i + 1] == '/'));
    }
}
