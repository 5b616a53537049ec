/* From a path to a row, and what is said when there is none. */
#include "tests/unit/admin/fixture.h"

#include "admin/admin.h"

TEST(unknown_paths_list_the_endpoints)
{
    setup();
    static const char *const bad[] = {"/nothing",
                                      "/lb/",
                                      "/lb/backends/b1/explode",
                                      "/lb/backends//enable",
                                      "/lb/backends/b1/b2/enable",
                                      "",
                                      "*",
                                      "/lb/services/a/instances",
                                      "/lb/services/a/instances/b/c"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK_EQ(get(bad[i]), 404);
        CHECK_HAS("\"error\":");
        CHECK_HAS("/lb/backends/{id}/enable");
    }
}

TEST(the_index_lists_every_row)
{
    size_t count;
    setup();
    const struct endpoint *rows = endpoint_rows(&count);
    CHECK_EQ(get("/lb"), 200);
    for (size_t i = 0; i < count; i++)
        CHECK_HAS(rows[i].path);
}

TEST(wrong_methods_are_told_the_right_ones)
{
    setup();
    CHECK_EQ(post("/lb/stats", ""), 405);
    CHECK(has_header("Allow: GET, HEAD\r\n"));
    CHECK_EQ(get("/lb/backends/b2/enable"), 405);
    CHECK(has_header("Allow: POST\r\n"));
    CHECK_EQ(call(REQUEST_PUT, "/lb/backends/app:b1", NULL), 405);
    CHECK(has_header("Allow: GET, HEAD\r\n"));
    CHECK_EQ(call(REQUEST_OTHER, "/lb/reload", NULL), 405);
    CHECK(has_header("Allow: POST\r\n"));
}

TEST(a_literal_path_wins_over_an_id)
{
    setup();
    CHECK_EQ(get("/lb/backends/add"), 405);
    CHECK(has_header("Allow: POST\r\n"));
}

TEST(only_what_changes_something_needs_the_token)
{
    setup();
    fx.conf.admin.token = "secret";
    CHECK_EQ(get("/lb/stats"), 200);
    CHECK_EQ(post("/lb/backends/b2/disable", ""), 401);
    CHECK_EQ(word_get(&entry_at(&fx.table, fx.b2)->mode), MODE_ENABLED);
    struct request q = {.method = REQUEST_POST, .authorization = "Bearer secret"};
    CHECK_EQ(call_request(&q, "/lb/backends/b2/disable", ""), 200);
    CHECK_EQ(word_get(&entry_at(&fx.table, fx.b2)->mode), MODE_MAINTENANCE);
}

TEST(every_mutating_row_is_guarded)
{
    size_t count;
    setup();
    fx.conf.admin.token = "secret";
    const struct endpoint *rows = endpoint_rows(&count);
    for (size_t i = 0; i < count; i++) {
        char path[128];
        const char *mark = strstr(rows[i].path, "{id}");
        snprintf(path, sizeof(path), "%.*sb2%s", mark ? (int)(mark - rows[i].path) : 0,
                 mark ? rows[i].path : "", mark ? mark + 4 : "");
        const char *target = mark ? path : rows[i].path;
        CHECK_EQ(rows[i].mutates, rows[i].method != REQUEST_GET);
        if (rows[i].mutates)
            CHECK_EQ(call(rows[i].method, target, "{}"), 401);
        struct request foreign = {.method = rows[i].method,
                                  .host = "localhost",
                                  .origin = "http://evil.example",
                                  .authorization = "Bearer secret"};
        if (rows[i].mutates)
            CHECK_EQ(call_request(&foreign, target, "{}"), 403);
    }
    CHECK_EQ(entry_find(&fx.table, fx.app, "b2"), fx.b2);
}

TEST(a_foreign_host_gets_nothing_on_loopback)
{
    setup();
    struct request q = {.method = REQUEST_GET, .host = "evil.example", .bind_loopback = true};
    CHECK_EQ(call_request(&q, "/lb/config", NULL), 403);
}

TEST(ids_are_decoded)
{
    setup();
    CHECK_EQ(get("/lb/backends/app%3Ab1"), 200);
    CHECK_HAS("\"id\":\"app:b1\"");
    CHECK_EQ(get("/lb/backends/app%3"), 400);
    CHECK_EQ(get("/lb/backends/%00"), 400);
}

TEST(markdown_has_a_row_per_endpoint)
{
    size_t count, lines = 0;
    endpoint_rows(&count);
    char *text = admin_endpoints_markdown();
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    CHECK_EQ(lines, count + 2);
    free(text);
}
