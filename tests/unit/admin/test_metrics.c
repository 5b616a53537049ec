/* GET /metrics: the text of both formats, labels, the choice by Accept, and how long 10,000
 * backends take. */
#include "tests/unit/admin/fixture.h"

#include "admin/admin.h"
#include "admin/metrics.h"
#include "shm/histo.h"

static unsigned metrics(const char *accept)
{
    struct request q = {.method = REQUEST_GET, .accept = accept};
    return call_request(&q, "/metrics", NULL);
}

TEST(the_classic_text_has_types_and_totals)
{
    setup();
    count_add(&table_lcell(&fx.table, 0, fx.web)->status_2xx, 5);
    count_add(&table_lcell(&fx.table, 1, fx.web)->status_2xx, 2);
    CHECK_EQ(metrics(NULL), 200);
    CHECK_STR(fx.response.content_type, "text/plain; version=0.0.4; charset=utf-8");
    CHECK_HAS("# TYPE ballast_requests_total "
              "counter\nballast_requests_total{listener=\"web\",code=\"1xx\"} 0\n"
              "ballast_requests_total{listener=\"web\",code=\"2xx\"} 7\n");
    CHECK_HAS("\nballast_up 1\n");
    CHECK_HAS("\nballast_generation 3\n");
    CHECK_HAS("\nballast_workers 2\n");
    CHECK_HAS("ballast_build_info{version=\"" BALLAST_VERSION "\"} 1\n");
    CHECK_HAS("ballast_backend_up{pool=\"app\",backend=\"b2\"} 1\n");
    CHECK_LACKS("# EOF");
    CHECK_LACKS("# UNIT");
}

TEST(openmetrics_names_families_units_and_the_end)
{
    setup();
    CHECK_EQ(metrics("application/openmetrics-text"), 200);
    CHECK_STR(fx.response.content_type,
              "application/openmetrics-text; version=1.0.0; charset=utf-8");
    CHECK_HAS("# TYPE ballast_requests counter\nballast_requests_total{");
    CHECK_HAS("# UNIT ballast_request_duration_seconds seconds\n");
    CHECK_STR(fx.text + strlen(fx.text) - 6, "# EOF\n");
}

TEST(histograms_are_cumulative)
{
    setup();
    struct cell *c = table_cell(&fx.table, 0, fx.b1);
    histo_add(c->histo, 500);
    histo_add(c->histo, 70000);
    histo_add(c->histo, 60000000);
    count_add(&c->response_us, 60070500);
    CHECK_EQ(metrics(NULL), 200);
#define AT_B1 "{pool=\"app\",backend=\"b1\""
    CHECK_HAS("ballast_backend_response_seconds_bucket" AT_B1 ",le=\"0.001\"} 1\n");
    CHECK_HAS("ballast_backend_response_seconds_bucket" AT_B1 ",le=\"0.1\"} 2\n");
    CHECK_HAS("ballast_backend_response_seconds_bucket" AT_B1 ",le=\"10.0\"} 2\n");
    CHECK_HAS("ballast_backend_response_seconds_bucket" AT_B1 ",le=\"+Inf\"} 3\n");
    CHECK_HAS("ballast_backend_response_seconds_sum" AT_B1 "} 60.070500\n");
    CHECK_HAS("ballast_backend_response_seconds_count" AT_B1 "} 3\n");
}

TEST(labels_are_escaped)
{
    struct metrics_labels l = {.len = 0};
    metrics_label(&l, "a", "x\"y\\z\nw");
    metrics_label(&l, "b", "");
    CHECK_STR(l.text, "a=\"x\\\"y\\\\z\\nw\",b=\"\"");
    CHECK_EQ(l.len, strlen(l.text));
}

TEST(labels_of_the_longest_names_fit)
{
    struct metrics_labels l = {.len = 0};
    char longest[NAME_MAX_BYTES];
    memset(longest, '"', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    metrics_label(&l, "pool", longest);
    metrics_label(&l, "backend", longest);
    CHECK_EQ(l.len, 2 * (2 * (NAME_MAX_BYTES - 1)) + strlen("pool=\"\",backend=\"\""));
    CHECK_EQ(l.text[l.len - 1], '"');
}

TEST(accept_chooses_the_format)
{
    CHECK(!metrics_wants_openmetrics(NULL));
    CHECK(!metrics_wants_openmetrics(""));
    CHECK(!metrics_wants_openmetrics("*/*"));
    CHECK(!metrics_wants_openmetrics("text/plain"));
    CHECK(!metrics_wants_openmetrics("application/openmetrics-text;q=0"));
    CHECK(!metrics_wants_openmetrics("application/openmetrics-textual"));
    CHECK(!metrics_wants_openmetrics(
        "application/openmetrics-text;version=1.0.0;q=0.2, text/plain;q=0.9"));
    CHECK(metrics_wants_openmetrics("application/openmetrics-text"));
    CHECK(metrics_wants_openmetrics("Application/OpenMetrics-Text; version=1.0.0"));
    CHECK(metrics_wants_openmetrics(
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
        "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"));
}

TEST(every_row_is_written_and_documented)
{
    size_t count;
    setup();
    const struct metrics_row *rows = metrics_rows(&count);
    char *docs = admin_metrics_markdown();
    CHECK_EQ(metrics(NULL), 200);
    for (size_t i = 0; i < count; i++) {
        char want[128];
        const char *total = rows[i].type == METRIC_COUNTER ? "_total" : "";
        snprintf(want, sizeof(want), "# TYPE %s%s ", rows[i].name, total);
        CHECK_HAS(want);
        snprintf(want, sizeof(want), "| `%s%s` |", rows[i].name, total);
        CHECK(strstr(docs, want));
        CHECK(rows[i].series_count >= 1 && rows[i].series_count <= 8);
        size_t unit = strlen(rows[i].unit), name = strlen(rows[i].name);
        CHECK(unit == 0 || strcmp(rows[i].name + name - unit, rows[i].unit) == 0);
    }
    free(docs);
}

/* Lines of a long text that begin so, in one pass. */
static size_t count_lines(const char *text, size_t len, const char *begin)
{
    size_t count = 0, begin_len = strlen(begin);
    for (const char *at = text, *end = text + len; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t line = (size_t)((stop ? stop : end) - at);
        count += line >= begin_len && memcmp(at, begin, begin_len) == 0;
        at += line + 1;
    }
    return count;
}

TEST(ten_thousand_backends_are_written_whole)
{
    size_t len;
    setup();
    table_lock(&fx.table);
    for (uint32_t i = 0; i < 10000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "10.0.%u.%u:8080", i / 256, i % 256);
        CHECK(add_backend(fx.app, name, name) != INDEX_NONE);
    }
    table_unlock(&fx.table);
    CHECK_EQ(metrics(NULL), 200);
    const char *text = response_body(&fx.response, &len);
    CHECK_EQ(count_lines(text, len, "ballast_backend_up{"), 10003);
    CHECK_EQ(count_lines(text, len, "ballast_backend_response_seconds_bucket{"), 10003 * 14);
    CHECK_EQ(
        count_lines(text, len, "ballast_backend_up{pool=\"app\",backend=\"10.0.39.15:8080\"} 1"),
        1);
}
