/* POST /lb/backends/add. */
#include "tests/unit/admin/fixture.h"

#include "admin/body.h"
#include "admin/hosts.h"

static struct entry *added(uint32_t pool, const char *name)
{
    uint32_t at = entry_find(&fx.table, pool, name);
    CHECK(at != INDEX_NONE);
    return entry_at(&fx.table, at);
}

TEST(the_smallest_body_adds_a_backend)
{
    setup();
    CHECK_EQ(post("/lb/backends/add", "{\"host\":\"127.0.0.1\",\"port\":9100,\"pool\":\"app\"}"),
             201);
    CHECK_HAS("\"id\":\"app:127.0.0.1:9100\"");
    CHECK_HAS("\"origin\":\"api\"");
    CHECK_HAS("\"weight\":1");
    CHECK_HAS("\"max_connections\":1000");
    CHECK(has_header("Location: /lb/backends/app:127.0.0.1:9100\r\n"));
    CHECK_EQ(net_addr_port(&added(fx.app, "127.0.0.1:9100")->addr), 9100);
    CHECK_EQ(get("/lb/backends/app:127.0.0.1:9100"), 200);
}

TEST(every_field_is_taken)
{
    setup();
    CHECK_EQ(post("/lb/backends/add",
                  "{\"host\":\"::1\",\"port\":9100,\"pool\":\"api\",\"id\":\"n/1\","
                  "\"weight\":5,\"max_connections\":0,\"backup\":true}"),
             201);
    const struct entry *e = added(fx.other, "n/1");
    CHECK_EQ(entry_weight(e), 5);
    CHECK_EQ(word_get(&e->max_connections), 0);
    CHECK_EQ(word_get(&e->backup), 1);
    CHECK_STR(e->endpoint, "[::1]:9100");
    CHECK(has_header("Location: /lb/backends/api:n%2F1\r\n"));
    CHECK_EQ(get("/lb/backends/api:n%2F1"), 200);
    CHECK_EQ(call(REQUEST_DELETE, "/lb/backends/n%2F1/remove", NULL), 200);
}

TEST(unix_sockets_and_localhost_are_addresses)
{
    setup();
    CHECK_EQ(post("/lb/backends/add", "{\"host\":\"unix:/run/x.sock\",\"pool\":\"app\"}"), 201);
    CHECK_EQ(added(fx.app, "unix:/run/x.sock")->addr.u.sa.sa_family, AF_UNIX);
    CHECK_EQ(post("/lb/backends/add", "{\"host\":\"localhost\",\"port\":9101,\"pool\":\"app\"}"),
             201);
    CHECK_HAS("\"host\":\"localhost\",\"port\":9101");
    CHECK(net_addr_is_loopback(&added(fx.app, "localhost:9101")->addr));
}

TEST(the_pool_may_be_left_out_when_there_is_one)
{
    setup();
    CHECK_EQ(post("/lb/backends/add", "{\"host\":\"127.0.0.1\",\"port\":9100}"), 400);
    CHECK_HAS("\"pool\":\"is needed");
    table_lock(&fx.table);
    pool_remove(&fx.table, fx.other);
    table_unlock(&fx.table);
    CHECK_EQ(post("/lb/backends/add", "{\"host\":\"127.0.0.1\",\"port\":9100}"), 201);
    CHECK_HAS("\"pool\":\"app\"");
}

TEST(every_wrong_field_is_named)
{
    setup();
    CHECK_EQ(post("/lb/backends/add",
                  "{\"host\":7,\"port\":70000,\"weight\":-1,\"pool\":\"\",\"id\":\"a b\","
                  "\"max_connections\":\"x\",\"backup\":1,\"colour\":\"red\"}"),
             400);
    static const char *const fields[] = {
        "host", "port", "weight", "pool", "id", "max_connections", "backup", "colour"};
    const char *errors = strstr(fx.text, "\"errors\":{");
    CHECK(errors);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        char key[32];
        snprintf(key, sizeof(key), "\"%s\":\"", fields[i]);
        CHECK(strstr(errors, key));
    }
    CHECK_EQ(fx.table.pools[fx.app].count, 2);
}

TEST(bodies_that_are_no_backend_are_refused)
{
    static const char *const bad[] = {
        "",
        "x",
        "[]",
        "null",
        "{\"host\":\"127.0.0.1\"",
        "{}",
        "{\"port\":1}",
        "{\"host\":\"127.0.0.1\",\"pool\":\"app\"}",
        "{\"host\":\"\",\"port\":1,\"pool\":\"app\"}",
        "{\"host\":\"a b\",\"port\":1,\"pool\":\"app\"}",
        "{\"host\":\"a/b\",\"port\":1,\"pool\":\"app\"}",
        "{\"host\":\"127.0.0.1\",\"port\":0,\"pool\":\"app\"}",
        "{\"host\":\"127.0.0.1\",\"port\":\"80\",\"pool\":\"app\"}",
        "{\"host\":\"127.0.0.1\",\"port\":1,\"port\":2,\"pool\":\"app\"}",
        "{\"host\":\"unix:/x\",\"port\":1,\"pool\":\"app\"}",
        "{\"host\":\"127.0.0.1\",\"port\":1,\"pool\":\"app\",\"id\":\"\"}",
        "{\"host\":\"127.0.0.1\",\"port\":1,\"pool\":\"app\",\"id\":\"a\\\"b\"}",
        "{\"host\":\"127.0.0.1\",\"port\":1,\"pool\":\"app\",\"id\":\"a\\u0000b\"}",
        "{\"host\":\"127.0.0.1\",\"port\":1,\"pool\":\"app\",\"weight\":257}",
        "{\"host\":\"127.0.0.1\",\"port\":1,\"pool\":\"app\",\"id\":"
        "\"0123456789012345678901234567890123456789012345678901234567890123\"}",
    };
    setup();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK_EQ(post("/lb/backends/add", bad[i]), 400);
        CHECK_HAS("\"error\":");
    }
    CHECK_EQ(fx.table.pools[fx.app].count, 2);
}

TEST(a_host_too_long_for_a_name_needs_an_id)
{
    setup();
    static const char body[] = "{\"host\":\"unix:/run/%s/%s.sock\",\"pool\":\"app\"%s}";
    static const char part[] = "a-rather-long-part-of-a-path-0123456789";
    char text[512];
    snprintf(text, sizeof(text), body, part, part, "");
    CHECK_EQ(post("/lb/backends/add", text), 400);
    CHECK_HAS("\"id\":\"is needed");
    snprintf(text, sizeof(text), body, part, part, ",\"id\":\"s\"");
    CHECK_EQ(post("/lb/backends/add", text), 201);
}

TEST(unknown_pools_and_hosts_have_their_own_status)
{
    setup();
    CHECK_EQ(post("/lb/backends/add", "{\"host\":\"127.0.0.1\",\"port\":1,\"pool\":\"none\"}"),
             404);
    CHECK_EQ(
        post("/lb/backends/add", "{\"host\":\"no.such.host.invalid\",\"port\":1,\"pool\":\"app\"}"),
        422);
    CHECK_HAS("DNS");
    CHECK_EQ(post("/lb/backends/add", "{\"host\":\"0.0.0.0\",\"port\":1,\"pool\":\"app\"}"), 422);
    CHECK_EQ(post("/lb/backends/add", "{\"host\":\"::\",\"port\":1,\"pool\":\"app\"}"), 422);
    CHECK_EQ(fx.table.pools[fx.app].count, 2);
}

TEST(the_same_backend_again_exists)
{
    setup();
    const char *first = "{\"host\":\"127.0.0.1\",\"port\":9100,\"pool\":\"app\",\"id\":\"x\"}";
    CHECK_EQ(post("/lb/backends/add", first), 201);
    CHECK_EQ(post("/lb/backends/add", first), 409);
    /* without an id the address is the identity */
    CHECK_EQ(post("/lb/backends/add", "{\"host\":\"127.0.0.1\",\"port\":9100,\"pool\":\"app\"}"),
             409);
    CHECK_HAS("app:x");
    CHECK_EQ(post("/lb/backends/add", "{\"host\":\"127.0.0.1\",\"port\":9001,\"pool\":\"app\"}"),
             409);
    CHECK_HAS("app:b1");
    /* another name, or another pool, is another backend */
    CHECK_EQ(post("/lb/backends/add",
                  "{\"host\":\"127.0.0.1\",\"port\":9100,\"pool\":\"app\",\"id\":\"y\"}"),
             201);
    CHECK_EQ(post("/lb/backends/add", "{\"host\":\"127.0.0.1\",\"port\":9100,\"pool\":\"api\"}"),
             201);
}

TEST(adding_is_recorded)
{
    struct event_copy e[8];
    setup();
    uint64_t before = event_last(&fx.table);
    CHECK_EQ(post("/lb/backends/add", "{\"host\":\"127.0.0.1\",\"port\":9100,\"pool\":\"app\"}"),
             201);
    uint32_t count = event_read(&fx.table, before, e, ARRAY_LEN(e));
    CHECK(count > 0);
    CHECK_STR(e[count - 1].object, "app:127.0.0.1:9100");
    CHECK_STR(e[count - 1].to, "added");
}

TEST(hosts_files_are_read_line_by_line)
{
    char path[] = "/tmp/ballast-hosts-XXXXXX", out[64];
    static const char text[] =
        "# comment\n127.0.0.1 localhost\n\n10.0.0.7\tdb.internal  DB # the database\n"
        "nonsense bad.name\n#10.0.0.8 hidden\nfd00::7 six\n10.0.0.9 tail";
    int fd = mkstemp(path);
    CHECK(fd != -1);
    CHECK_EQ(write(fd, text, sizeof(text) - 1), (long long)sizeof(text) - 1);
    CHECK_EQ(hosts_lookup(path, "db", out, sizeof(out)), 0);
    CHECK_STR(out, "10.0.0.7");
    CHECK_EQ(hosts_lookup(path, "six", out, sizeof(out)), 0);
    CHECK_STR(out, "fd00::7");
    CHECK_EQ(hosts_lookup(path, "tail", out, sizeof(out)), 0);
    CHECK_EQ(hosts_lookup(path, "hidden", out, sizeof(out)), -1);
    CHECK_EQ(hosts_lookup(path, "bad.name", out, sizeof(out)), -1);
    CHECK_EQ(hosts_lookup(path, "database", out, sizeof(out)), -1);
    CHECK_EQ(hosts_lookup("/nonexistent", "db", out, sizeof(out)), -1);
    close(fd);
    unlink(path);
}

TEST(bodies_with_too_many_members_are_refused)
{
    char text[1024] = "{", why[256];
    struct body body;
    for (int i = 0; i < 40; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s\"k%d\":1", i ? "," : "", i);
    strncat(text, "}", 2);
    CHECK_EQ(body_parse(&body, text, strlen(text), why, sizeof(why)), -1);
}
