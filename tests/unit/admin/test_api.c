/* What each endpoint answers, against a table made by the test. */
#include "tests/unit/admin/fixture.h"

#include <unistd.h>
#include "admin/probes_host.h"
#include "base/clock.h"
#include "shm/histo.h"

static struct entry *b1(void)
{
    return entry_at(&fx.table, fx.b1);
}

/* ---- health ---- */

TEST(health_is_healthy_while_every_pool_serves)
{
    setup();
    CHECK_EQ(get("/lb/health"), 200);
    CHECK_HAS("\"status\":\"healthy\"");
    CHECK_HAS("\"generation\":3");
    CHECK_HAS("\"workers\":2");
    CHECK_HAS("\"version\":\"" BALLAST_VERSION "\"");
    CHECK_HAS("\"uptime_seconds\":");
    CHECK_HAS("\"app\":{\"usable\":2,\"total\":2}");
}

TEST(health_is_degraded_when_a_backend_is_down)
{
    setup();
    entry_set_health(&fx.table, fx.b1, HEALTH_UNHEALTHY);
    CHECK_EQ(get("/lb/health"), 200);
    CHECK_HAS("\"status\":\"degraded\"");
    CHECK_HAS("pool app: 1 of 2 backends unhealthy");
}

TEST(health_is_degraded_when_a_worker_is_missing)
{
    setup();
    slot_set_state(&fx.table, 1, SLOT_DEAD);
    CHECK_EQ(get("/lb/health"), 200);
    CHECK_HAS("\"status\":\"degraded\"");
    CHECK_HAS("1 of 2 workers ready");
}

TEST(health_is_unhealthy_when_a_pool_cannot_serve)
{
    setup();
    entry_set_health(&fx.table, fx.other_b1, HEALTH_UNHEALTHY);
    CHECK_EQ(get("/lb/health"), 503);
    CHECK_HAS("\"status\":\"unhealthy\"");
    CHECK_HAS("pool api: none of 1 backends is usable");
}

/* ---- stats ---- */

static void add_traffic(void)
{
    struct lcell *l = table_lcell(&fx.table, 0, fx.web), *l2 = table_lcell(&fx.table, 1, fx.web);
    count_add(&l->requests, 60);
    count_add(&l2->requests, 40);
    count_add(&l->finished, 60);
    count_add(&l2->finished, 40);
    count_add(&l->failed, 5);
    count_add(&l->aborted, 15);
    count_add(&l->request_us, 200000);
    for (int i = 0; i < 100; i++)
        histo_add(l->histo, 2000);
    struct cell *c = table_cell(&fx.table, 1, fx.b1);
    count_add(&c->requests, 7);
    count_add(&c->failed, 2);
    count_add(&c->responses, 4);
    count_add(&c->response_us, 2000000);
}

TEST(stats_sum_over_all_slots)
{
    setup();
    add_traffic();
    CHECK_EQ(get("/lb/stats"), 200);
    CHECK_HAS("\"total_requests\":100");
    CHECK_HAS("\"successful_requests\":80");
    CHECK_HAS("\"failed_requests\":5");
    CHECK_HAS("\"average_response_time\":0.002,");
    CHECK_HAS("\"total_requests\":7,\"failed_requests\":2");
    CHECK_HAS("\"average_response_time\":0.5,");
}

TEST(stats_have_the_promised_names)
{
    static const char *const names[] = {"total_requests",
                                        "successful_requests",
                                        "failed_requests",
                                        "success_rate",
                                        "active_connections",
                                        "average_response_time",
                                        "response_time",
                                        "p50",
                                        "p90",
                                        "p99",
                                        "p999",
                                        "requests_per_second",
                                        "total_servers",
                                        "healthy_servers",
                                        "server_details",
                                        "id",
                                        "pool",
                                        "endpoint",
                                        "url",
                                        "status",
                                        "weight",
                                        "current_connections",
                                        "max_connections",
                                        "connection_utilization",
                                        "circuit_breaker",
                                        "last_health_check",
                                        "rate_limits",
                                        "workers"};
    setup();
    CHECK_EQ(get("/lb/stats"), 200);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char key[64];
        snprintf(key, sizeof(key), "\"%s\":", names[i]);
        CHECK_HAS(key);
    }
    CHECK_HAS("\"success_rate\":1,"); /* nothing has failed yet */
    CHECK_HAS("\"total_servers\":3,\"healthy_servers\":0");
}

TEST(stats_count_healthy_servers_by_status)
{
    setup();
    entry_set_health(&fx.table, fx.b1, HEALTH_HEALTHY);
    entry_set_health(&fx.table, fx.b2, HEALTH_HEALTHY);
    entry_set_mode(&fx.table, fx.b2, MODE_MAINTENANCE);
    CHECK_EQ(get("/lb/stats"), 200);
    CHECK_HAS("\"healthy_servers\":1");
}

TEST(stats_work_when_no_worker_ever_ran)
{
    setup();
    for (uint32_t i = 0; i < 2; i++) {
        slot_reclaim(&fx.table, i);
        slot_set_state(&fx.table, i, SLOT_DEAD);
    }
    CHECK_EQ(get("/lb/stats"), 200);
    CHECK_HAS("\"active_connections\":0");
}

/* ---- backends ---- */

TEST(backends_are_listed_pool_by_pool)
{
    setup();
    CHECK_EQ(get("/lb/backends"), 200);
    CHECK(strstr(fx.text, "\"id\":\"app:b1\"") < strstr(fx.text, "\"id\":\"app:b2\""));
    CHECK_HAS("\"id\":\"api:b1\"");
    CHECK_HAS("\"host\":\"127.0.0.1\",\"port\":9001,\"endpoint\":\"127.0.0.1:9001\"");
    CHECK_HAS("\"host\":\"::1\",\"port\":9002,\"endpoint\":\"[::1]:9002\"");
    CHECK_HAS("\"host\":\"unix:/tmp/b1.sock\",\"port\":null");
    CHECK_HAS("\"url\":\"http://127.0.0.1:9001\"");
    CHECK_EQ(get("/lb/backends?pool=api"), 200);
    CHECK_LACKS("app:b1");
    CHECK_EQ(get("/lb/backends?pool=none"), 404);
}

TEST(a_backend_is_found_by_pool_and_name_or_by_a_name_of_its_own)
{
    setup();
    CHECK_EQ(get("/lb/backends/app:b1"), 200);
    CHECK_EQ(get("/lb/backends/b2"), 200);
    CHECK_HAS("\"id\":\"app:b2\"");
    CHECK_EQ(get("/lb/backends/b1"), 404);
    CHECK_HAS("several pools have a backend b1");
    CHECK_EQ(get("/lb/backends/b9"), 404);
    CHECK_EQ(get("/lb/backends/api:b2"), 404);
    CHECK_EQ(get("/lb/backends/none:b2"), 404);
}

TEST(tcp_pools_have_tcp_urls)
{
    setup();
    fx.listener.protocol = CONF_TCP;
    CHECK_EQ(get("/lb/backends/app:b1"), 200);
    CHECK_HAS("\"url\":\"tcp://127.0.0.1:9001\"");
}

TEST(current_connections_are_the_lanes)
{
    setup();
    uint32_t incarnation = word_get(&b1()->incarnation);
    for (int i = 0; i < 5; i++)
        CHECK(entry_reserve(&fx.table, fx.b1, incarnation, (uint32_t)i % 2));
    CHECK_EQ(get("/lb/backends/app:b1"), 200);
    CHECK_HAS("\"current_connections\":5,\"max_connections\":10,\"connection_utilization\":0.5");
}

TEST(modes_follow_the_orders)
{
    setup();
    CHECK_EQ(post("/lb/backends/app:b1/disable", ""), 200);
    CHECK_HAS("\"status\":\"maintenance\"");
    CHECK_EQ(word_get(&b1()->mode), MODE_MAINTENANCE);
    CHECK_EQ(post("/lb/backends/app:b1/drain", ""), 200);
    CHECK_HAS("\"status\":\"draining\"");
    CHECK_EQ(post("/lb/backends/app:b1/enable", ""), 200);
    CHECK_EQ(word_get(&b1()->mode), MODE_ENABLED);
    CHECK_EQ(post("/lb/backends/none/enable", ""), 404);
}

TEST(a_passing_check_does_not_end_maintenance)
{
    setup();
    CHECK_EQ(post("/lb/backends/app:b1/disable", ""), 200);
    entry_set_health(&fx.table, fx.b1, HEALTH_HEALTHY);
    CHECK_EQ(get("/lb/backends/app:b1"), 200);
    CHECK_HAS("\"status\":\"maintenance\"");
    CHECK_HAS("\"health\":\"healthy\"");
}

TEST(actions_are_recorded_with_who_did_them)
{
    setup();
    uint64_t before = event_last(&fx.table);
    struct event_copy e;
    CHECK_EQ(post("/lb/backends/app:b1/disable", ""), 200);
    CHECK_EQ(event_read(&fx.table, before, &e, 1), 1);
    CHECK_STR(e.kind, "admin");
    CHECK_STR(e.object, "app:b1");
    CHECK_STR(e.from, "enabled");
    CHECK_STR(e.to, "maintenance");
    CHECK_STR(e.reason, "disable by 127.0.0.1:4242");
}

TEST(refused_actions_are_not_recorded)
{
    setup();
    uint64_t before = event_last(&fx.table);
    CHECK_EQ(post("/lb/backends/none/disable", ""), 404);
    CHECK_EQ(post("/lb/backends/app:b1/weight", "{}"), 400);
    CHECK_EQ(event_last(&fx.table), before);
}

TEST(weight_overrides_and_gives_back)
{
    setup();
    CHECK_EQ(post("/lb/backends/app:b1/weight", "{\"weight\": 7}"), 200);
    CHECK_HAS("\"weight\":7,\"configured_weight\":1");
    CHECK_EQ(entry_weight(b1()), 7);
    CHECK_EQ(post("/lb/backends/app:b1/weight", "{\"weight\": 0}"), 200);
    CHECK_EQ(entry_weight(b1()), 0);
    CHECK_EQ(post("/lb/backends/app:b1/weight", "{\"weight\": null}"), 200);
    CHECK_EQ(entry_weight(b1()), 1);
}

TEST(weight_refuses_what_is_no_weight)
{
    static const char *const bad[] = {"",
                                      "7",
                                      "{}",
                                      "{\"weight\":-1}",
                                      "{\"weight\":257}",
                                      "[7]",
                                      "{\"weight\":\"7\"}",
                                      "{\"weight\":1.5}",
                                      "{\"weight\":1,\"x\":1}",
                                      "{\"weight\":1,\"weight\":2}",
                                      "{\"weight\":1",
                                      "{\"weight\":true}",
                                      "{\"weight\":99999999999}"};
    setup();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_EQ(post("/lb/backends/app:b1/weight", bad[i]), 400);
    CHECK_EQ(entry_weight(b1()), 1);
    CHECK_EQ(post("/lb/backends/none/weight", "{\"weight\":1}"), 404);
}

TEST(removed_backends_are_gone)
{
    setup();
    CHECK_EQ(call(REQUEST_DELETE, "/lb/backends/app:b1/remove", NULL), 200);
    CHECK_HAS("\"removed\":true");
    CHECK_EQ(get("/lb/backends/app:b1"), 404);
    CHECK_EQ(call(REQUEST_DELETE, "/lb/backends/app:b1/remove", NULL), 404);
    CHECK_EQ(entry_find(&fx.table, fx.app, "b1"), INDEX_NONE);
    CHECK_EQ(get("/lb/backends/b1"), 200); /* the other pool's, unique now */
    CHECK_HAS("\"id\":\"api:b1\"");
}

TEST(a_removal_may_cut)
{
    setup();
    const atom32 *cuts = &fx.table.header->cuts;
    CHECK_EQ(call(REQUEST_DELETE, "/lb/backends/app:b1/remove?now=2", NULL), 400);
    CHECK_EQ(call(REQUEST_DELETE, "/lb/backends/app:b1/remove?now=", NULL), 400);
    CHECK_EQ(entry_find(&fx.table, fx.app, "b1"), fx.b1);
    CHECK_EQ(word_get(cuts), 0);
    CHECK_EQ(call(REQUEST_DELETE, "/lb/backends/app:b1/remove?now=1", NULL), 200);
    CHECK_EQ(word_get(cuts), 1);
}

/* ---- rows ---- */

TEST(pools_listeners_and_workers_are_listed)
{
    setup();
    add_traffic();
    CHECK_EQ(get("/lb/pools"), 200);
    CHECK_HAS("\"name\":\"app\",\"balance\":\"round_robin\",\"backends\":2,\"usable\":2");
    CHECK_EQ(get("/lb/listeners"), 200);
    CHECK_HAS(
        "\"name\":\"web\",\"protocol\":\"http\",\"pool\":\"app\",\"bind\":[\"127.0.0.1:8080\"]");
    CHECK_HAS("\"requests\":100");
    slot_set_pid(&fx.table, 1, 4711);
    CHECK_EQ(get("/lb/workers"), 200);
    CHECK_HAS("\"role\":\"worker\",\"index\":1,\"slot\":1,\"pid\":4711,\"state\":\"ready\"");
    CHECK_HAS("\"role\":\"admin\"");
}

/* ---- probes ---- */

TEST(probes_of_this_process_always_pass)
{
    setup();
    for (uint32_t i = 0; i < 2; i++)
        slot_set_state(&fx.table, i, SLOT_DEAD);
    CHECK_EQ(get("/health"), 200);
    CHECK_STR(fx.text, "{\"status\":\"healthy\"}");
    CHECK_EQ(get("/health/live"), 200);
    CHECK_STR(fx.text, "{\"status\":\"alive\"}");
}

static void beat(void)
{
    for (uint32_t i = 0; i < 2; i++)
        slot_heartbeat(&fx.table, i, clock_mono_us());
}

TEST(ready_needs_workers_and_a_usable_pool)
{
    setup();
    beat();
    CHECK_EQ(get("/health/ready"), 200);
    CHECK_HAS("\"status\":\"ready\"");
    CHECK_HAS("\"workers\":{\"status\":\"pass\",\"time_ms\":");
    entry_set_health(&fx.table, fx.other_b1, HEALTH_UNHEALTHY);
    CHECK_EQ(get("/health/ready"), 200); /* the other pool still serves */
    entry_set_health(&fx.table, fx.b1, HEALTH_UNHEALTHY);
    entry_set_health(&fx.table, fx.b2, HEALTH_UNHEALTHY);
    CHECK_EQ(get("/health/ready"), 503);
    CHECK_HAS("\"status\":\"not_ready\"");
    CHECK_HAS("\"backends\":{\"status\":\"fail\"");
}

TEST(ready_is_over_while_draining_and_without_workers)
{
    setup();
    beat();
    fx.api.draining = true;
    CHECK_EQ(get("/health/ready"), 503);
    CHECK_HAS("\"error\":\"");
    fx.api.draining = false;
    for (uint32_t i = 0; i < 2; i++)
        slot_set_state(&fx.table, i, SLOT_DEAD);
    CHECK_EQ(get("/health/ready"), 503);
    CHECK_HAS("\"workers\":{\"status\":\"fail\"");
}

static char meminfo[] = "/tmp/ballast-meminfo-XXXXXX";

static void write_meminfo(unsigned available)
{
    if (probes_host_meminfo != meminfo && (close(mkstemp(meminfo)), true))
        probes_host_meminfo = meminfo;
    FILE *out = fopen(meminfo, "w");
    CHECK(out != NULL);
    fprintf(out, "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: %u kB\n", available);
    fclose(out);
}

TEST(percent_is_what_df_shows)
{
    CHECK_EQ(probes_host_percent(100, 50, 50), 50);
    CHECK_EQ(probes_host_percent(100, 15, 10), 90); /* 85 of 95 */
    CHECK_EQ(probes_host_percent(1000, 1, 0), 100);
    CHECK_EQ(probes_host_percent(0, 0, 0), 0);
    CHECK_EQ(probes_host_percent(10, 20, 20), 0);
}

TEST(memory_that_runs_out_is_told)
{
    setup();
    beat();
    write_meminfo(110);
    CHECK_EQ(get("/health/detailed"), 200);
    CHECK_HAS("\"memory\":{\"status\":\"pass\"");
    write_meminfo(100);
    CHECK_EQ(get("/health/detailed"), 200);
    CHECK_HAS("\"memory\":{\"status\":\"fail\"");
    CHECK_HAS("\"error\":\"90% of memory is in use\"");
    CHECK_HAS("\"status\":\"degraded\"");
    unlink(meminfo);
    CHECK_EQ(get("/health/detailed"), 200);
    CHECK_HAS("\"memory\":{\"status\":\"pass\"");
}

TEST(detailed_names_what_is_wrong)
{
    setup();
    write_meminfo(500);
    unlink(meminfo);
    beat();
    slot_claim(&fx.table, SLOT_HEALTH_INDEX, SLOT_HEALTH, 0) == 0 ? (void)0 : abort();
    slot_set_state(&fx.table, SLOT_HEALTH_INDEX, SLOT_READY);
    CHECK_EQ(get("/health/detailed"), 200);
    CHECK_HAS("\"status\":\"healthy\"");
    CHECK_HAS("\"pool:app\":{\"status\":\"pass\"");
    CHECK_HAS("\"version\":");
    entry_set_health(&fx.table, fx.other_b1, HEALTH_UNHEALTHY);
    CHECK_EQ(get("/health/detailed"), 200);
    CHECK_HAS("\"status\":\"degraded\"");
    CHECK_HAS("\"pool:api\":{\"status\":\"fail\"");
}

TEST(a_worker_that_does_not_move_is_told)
{
    setup();
    beat();
    slot_heartbeat(&fx.table, 1, clock_mono_us() - 60000000);
    CHECK_EQ(get("/health/detailed"), 200);
    CHECK_HAS("\"status\":\"degraded\"");
    CHECK_HAS("worker 1 has not moved for 60");
}

/* ---- configuration ---- */

TEST(the_page_is_served_with_a_policy)
{
    setup();
    CHECK_EQ(get("/"), 200);
    CHECK_STR(fx.response.content_type, "text/html; charset=utf-8");
    CHECK(has_header("Content-Security-Policy: "));
    CHECK_HAS("<html");
}
