/* The health role over a real table: who is checked, what is written, what a reload and a death
 * leave alone. */
#include <sys/ioctl.h>
#include <sys/resource.h>
#include "base/log.h"
#include "tests/unit/health/rig.h"

static struct origin origin;

/* One backend "app:b1" on an origin of this loop, checked every interval. */
static uint32_t open_one(enum conf_health_type type, uint32_t interval_ms)
{
    rig_open(type, interval_ms);
    origin_open(&origin, rig.child.loop, "127.0.0.1");
    uint32_t b1 = rig_add(0, "b1", &origin.addr);
    rig_start();
    return b1;
}

static void close_one(void)
{
    origin_close(&origin);
    rig_close();
}

static struct event_copy last_event(void)
{
    struct event_copy e;
    CHECK_EQ(event_read(&rig.table, event_last(&rig.table) - 1, &e, 1), 1);
    return e;
}

TEST(a_new_backend_is_checked_at_once)
{
    uint32_t b1 = open_one(CONF_HEALTH_HTTP, HOUR_MS);
    CHECK_EQ(rig_health(b1), HEALTH_UNKNOWN);
    RUN_UNTIL(rig_health(b1) == HEALTH_HEALTHY);
    CHECK_EQ(count_get(&rig_entry(b1)->checks_ok), 1);
    CHECK_EQ(count_get(&rig_entry(b1)->checks_failed), 0);
    CHECK_EQ(word_get(&rig_entry(b1)->health_code), 200);
    CHECK(word_get(&rig_entry(b1)->health_latency_us) > 0);
    CHECK(count_get(&rig_entry(b1)->health_checked_us) > 0);
    CHECK(count_get(&rig_entry(b1)->health_since_us) > 0);
    close_one();
}

TEST(a_verdict_is_an_event)
{
    uint32_t b1 = open_one(CONF_HEALTH_HTTP, 20);
    RUN_UNTIL(rig_health(b1) == HEALTH_HEALTHY);
    struct event_copy e = last_event();
    CHECK_STR(e.kind, "health");
    CHECK_STR(e.object, "app:b1");
    CHECK_STR(e.from, "unknown");
    CHECK_STR(e.to, "healthy");
    CHECK_STR(e.reason, "status 200");
    origin.answer = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
    uint64_t seen = event_last(&rig.table);
    RUN_UNTIL(rig_health(b1) == HEALTH_UNHEALTHY);
    e = last_event();
    CHECK_EQ(e.seq, seen + 1);
    CHECK_EQ(e.slot, SLOT_HEALTH_INDEX);
    CHECK_STR(e.from, "healthy");
    CHECK_STR(e.to, "unhealthy");
    CHECK_STR(e.reason, "status 503, expected 200-299");
    close_one();
}

TEST(fall_after_three_rise_after_two)
{
    uint32_t b1 = open_one(CONF_HEALTH_TCP, 20);
    RUN_UNTIL(rig_health(b1) == HEALTH_HEALTHY);
    origin_shut(&origin);
    uint64_t ok = count_get(&rig_entry(b1)->checks_ok);
    RUN_UNTIL(rig_health(b1) == HEALTH_UNHEALTHY);
    CHECK(count_get(&rig_entry(b1)->checks_failed) == 3);
    CHECK_STR(last_event().reason, "connect: Connection refused");
    CHECK_EQ(word_get(&rig_entry(b1)->health_code), (uint32_t)-ECONNREFUSED);
    origin_reopen(&origin);
    RUN_UNTIL(rig_health(b1) == HEALTH_HEALTHY);
    CHECK(count_get(&rig_entry(b1)->checks_ok) == ok + 2);
    close_one();
}

/* An unknown backend that fails stays unknown until the threshold. */
TEST(unknown_until_the_threshold)
{
    uint32_t b1 = open_one(CONF_HEALTH_TCP, 20);
    origin_shut(&origin);
    RUN_UNTIL(rig_checks(b1) == 2);
    CHECK_EQ(rig_health(b1), HEALTH_UNKNOWN);
    CHECK_EQ(word_get(&rig_entry(b1)->health_streak), 2);
    RUN_UNTIL(rig_checks(b1) == 3);
    CHECK_EQ(rig_health(b1), HEALTH_UNHEALTHY);
    CHECK_EQ(word_get(&rig_entry(b1)->health_streak), 0);
    origin_reopen(&origin);
    close_one();
}

TEST(views_of_the_pool_follow)
{
    uint32_t b1 = open_one(CONF_HEALTH_TCP, 20);
    uint32_t change = word_get(&pool_at(&rig.table, rig.rows[0])->change);
    RUN_UNTIL(rig_health(b1) == HEALTH_HEALTHY);
    CHECK(word_get(&pool_at(&rig.table, rig.rows[0])->change) != change);
    close_one();
}

/* Passing and failing checks go on under maintenance and never lift it. */
TEST(maintenance_is_not_disturbed)
{
    uint32_t b1 = open_one(CONF_HEALTH_TCP, 20);
    RUN_UNTIL(rig_health(b1) == HEALTH_HEALTHY);
    entry_set_mode(&rig.table, b1, MODE_MAINTENANCE);
    uint64_t checks = rig_checks(b1);
    RUN_UNTIL(rig_checks(b1) > checks + 3);
    CHECK_EQ(entry_status(rig_entry(b1)), STATUS_MAINTENANCE);
    origin_shut(&origin);
    RUN_UNTIL(rig_health(b1) == HEALTH_UNHEALTHY);
    CHECK_EQ(entry_status(rig_entry(b1)), STATUS_MAINTENANCE);
    origin_reopen(&origin);
    RUN_UNTIL(rig_health(b1) == HEALTH_HEALTHY);
    CHECK_EQ(entry_status(rig_entry(b1)), STATUS_MAINTENANCE);
    CHECK(!entry_usable(rig_entry(b1)));
    entry_set_mode(&rig.table, b1, MODE_ENABLED);
    CHECK_EQ(entry_status(rig_entry(b1)), STATUS_HEALTHY);
    close_one();
}

TEST(backends_come_at_run_time)
{
    uint32_t b1 = open_one(CONF_HEALTH_TCP, HOUR_MS);
    RUN_UNTIL(rig_health(b1) == HEALTH_HEALTHY);
    uint32_t b2 = rig_add(1, "b2", &origin.addr);
    RUN_UNTIL(rig_health(b2) == HEALTH_HEALTHY);
    CHECK_STR(last_event().object, "api:b2");
    CHECK_EQ(rig_checks(b1), 1);
    close_one();
}

/* A check that runs while its backend is removed ends without a trace. */
TEST(backends_go_at_run_time)
{
    uint32_t b1 = open_one(CONF_HEALTH_HTTP, HOUR_MS);
    origin.mode = ORIGIN_SILENT;
    RUN_UNTIL(schedule_running(rig.child.data) == 1 && origin.request_len > 0);
    uint64_t events = event_last(&rig.table);
    rig_remove(b1);
    RUN_UNTIL(schedule_running(rig.child.data) == 0);
    CHECK_EQ(rig_checks(b1), 0);
    CHECK_EQ(event_last(&rig.table), events);
    close_one();
}

/* A row that is used again is another backend: nothing of the old verdict is left. */
TEST(a_reused_row_starts_unknown)
{
    uint32_t b1 = open_one(CONF_HEALTH_TCP, 20);
    origin_shut(&origin);
    RUN_UNTIL(rig_health(b1) == HEALTH_UNHEALTHY);
    origin_reopen(&origin);
    rig_remove(b1);
    while (entry_sweep(&rig.table) == 0)
        continue;
    count_sub(&rig_entry(b1)->freed_us, 120000000); /* a freed row rests for a while */
    CHECK_EQ(rig_add(0, "b9", &origin.addr), b1);
    CHECK_EQ(rig_health(b1), HEALTH_UNKNOWN);
    RUN_UNTIL(rig_health(b1) == HEALTH_HEALTHY);
    CHECK_STR(last_event().from, "unknown");
    CHECK_STR(last_event().object, "app:b9");
    close_one();
}

TEST(without_checks_a_backend_is_trusted)
{
    uint32_t b1 = open_one(CONF_HEALTH_NONE, 20);
    uint64_t events = event_last(&rig.table);
    CHECK_EQ(rig_health(b1), HEALTH_HEALTHY);
    CHECK_EQ(event_last(&rig.table), events);
    uint32_t b2 = rig_add(1, "b2", &origin.addr);
    RUN_UNTIL(rig_health(b2) == HEALTH_HEALTHY);
    CHECK_EQ(rig_checks(b1) + rig_checks(b2), 0);
    CHECK_EQ(origin.accepted, 0);
    close_one();
}

TEST(a_reload_turns_checks_off_and_on)
{
    uint32_t b1 = open_one(CONF_HEALTH_HTTP, 20);
    origin.mode = ORIGIN_RESET;
    RUN_UNTIL(rig_health(b1) == HEALTH_UNHEALTHY);
    rig_reload(rig_conf_new(CONF_HEALTH_NONE, 20));
    CHECK_EQ(rig_health(b1), HEALTH_HEALTHY);
    CHECK_STR(last_event().reason, "no health check is configured");
    CHECK_EQ(schedule_running(rig.child.data), 0);
    CHECK_EQ(rig.released, 1);
    rig_reload(rig_conf_new(CONF_HEALTH_HTTP, 20));
    RUN_UNTIL(rig_health(b1) == HEALTH_UNHEALTHY);
    close_one();
}

/* Verdicts stay, and a reload alone makes nothing due. */
TEST(a_reload_keeps_verdicts_and_paces)
{
    uint32_t b1 = open_one(CONF_HEALTH_TCP, HOUR_MS), more[20];
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%d", i);
        more[i] = rig_add(0, name, &origin.addr);
    }
    for (int i = 0; i < 20; i++)
        RUN_UNTIL(rig_health(more[i]) == HEALTH_HEALTHY);
    RUN_UNTIL(rig_health(b1) == HEALTH_HEALTHY);
    uint64_t events = event_last(&rig.table);
    rig_reload(rig_conf_new(CONF_HEALTH_TCP, HOUR_MS));
    CHECK_EQ(rig.released, 1);
    CHECK_EQ(rig_health(b1), HEALTH_HEALTHY);
    CHECK_EQ(event_last(&rig.table), events);
    uint32_t late = rig_add(1, "late", &origin.addr);
    RUN_UNTIL(rig_health(late) == HEALTH_HEALTHY);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(rig_checks(more[i]), 1);
    close_one();
}

TEST(a_reload_shortens_the_wait)
{
    uint32_t b1 = open_one(CONF_HEALTH_TCP, HOUR_MS);
    RUN_UNTIL(rig_health(b1) == HEALTH_HEALTHY);
    rig_reload(rig_conf_new(CONF_HEALTH_TCP, 20));
    RUN_UNTIL(rig_checks(b1) == 5);
    close_one();
}

/* A check that runs goes on under the settings it began with; they stay mapped until it ends. */
TEST(a_reload_waits_for_running_checks)
{
    uint32_t b1 = open_one(CONF_HEALTH_HTTP, HOUR_MS);
    origin.mode = ORIGIN_SILENT;
    RUN_UNTIL(origin.request_len > 0);
    rig_reload(rig_conf_new(CONF_HEALTH_HTTP, HOUR_MS));
    rig_reload(rig_conf_new(CONF_HEALTH_HTTP, HOUR_MS));
    CHECK_EQ(rig.released, 1); /* the one between, which no check used */
    origin.mode = ORIGIN_ANSWER;
    for (int i = 0; i < ORIGIN_PEERS; i++)
        if (origin.peers[i].fd != -1)
            origin_send(&origin.peers[i], SIZE_MAX);
    RUN_UNTIL(rig_health(b1) == HEALTH_HEALTHY);
    CHECK_EQ(rig.released, 2);
    close_one();
}

TEST(an_offer_withdrawn_changes_nothing)
{
    uint32_t b1 = open_one(CONF_HEALTH_TCP, 20);
    char why[128];
    struct rig_conf *next = rig_conf_new(CONF_HEALTH_NONE, 20);
    CHECK_EQ(health_role.offer(&rig.child, &next->conf, why, sizeof(why)), 0);
    health_role.abort(&rig.child, &next->conf);
    free(next);
    RUN_UNTIL(rig_checks(b1) == 3);
    CHECK_EQ(rig.released, 0);
    close_one();
}

/* kill -9 of the process: its successor goes on where the table stands, streaks included. */
TEST(a_successor_goes_on)
{
    uint32_t b1 = open_one(CONF_HEALTH_TCP, 20);
    origin_shut(&origin);
    RUN_UNTIL(rig_health(b1) == HEALTH_UNHEALTHY);
    origin_reopen(&origin);
    RUN_UNTIL(word_get(&rig_entry(b1)->health_streak) == 1);
    uint64_t ok = count_get(&rig_entry(b1)->checks_ok);
    rig_kill();
    CHECK_EQ(rig_health(b1), HEALTH_UNHEALTHY);
    rig_start();
    RUN_UNTIL(rig_health(b1) == HEALTH_HEALTHY);
    CHECK_EQ(count_get(&rig_entry(b1)->checks_ok), ok + 1);
    close_one();
}

TEST(drain_ends_everything)
{
    open_one(CONF_HEALTH_HTTP, HOUR_MS);
    origin.mode = ORIGIN_SILENT;
    RUN_UNTIL(origin.request_len > 0);
    health_role.drain(&rig.child, 0);
    CHECK(rig.exited);
    CHECK_EQ(schedule_running(rig.child.data), 0);
    rig_reload(rig_conf_new(CONF_HEALTH_HTTP, HOUR_MS));
    CHECK_EQ(rig.released, 1);
    close_one();
}

/* Descriptors for 128 checks, 300 backends that never answer: the others wait their turn and get
 * it. */
TEST(checks_wait_for_descriptors)
{
    static uint32_t backends[300];
    struct rlimit r = {.rlim_cur = 192, .rlim_max = 192};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &r), 0);
    rig_open(CONF_HEALTH_HTTP, 50);
    CONTAINER_OF((uintptr_t)rig.child.conf, struct rig_conf, conf)->pools[0].health.timeout_ms =
        200;
    origin_open(&origin, rig.child.loop, "127.0.0.1");
    ev_io_stop(rig.child.loop, &origin.io); /* the kernel accepts, nobody answers */
    for (int i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof(name), "b%d", i);
        backends[i] = rig_add(0, name, &origin.addr);
    }
    rig_start();
    uint32_t most = 0, waiting = 0;
    for (int i = 0; i < 300; i++)
        while (rig_health(backends[i]) != HEALTH_UNHEALTHY) {
            ev_run(rig.child.loop, EVRUN_ONCE);
            uint32_t running = schedule_running(rig.child.data);
            most = running > most ? running : most;
            waiting += schedule_waiting(rig.child.data) > 0;
        }
    CHECK_EQ(most, 128);
    CHECK(waiting > 0);
    close_one();
}

/* Did the log get a line with this text since the last call? */
static bool log_says(int fd, const char *text)
{
    char line[1024] = "";
    int waiting = 0;
    CHECK_EQ(ioctl(fd, FIONREAD, &waiting), 0);
    if (waiting > 0)
        CHECK(read(fd, line, sizeof(line) - 1) > 0);
    return strstr(line, text) != NULL;
}

/* The origin shares this process's descriptors, so checks fail for want of one: no backend is
 * blamed, all are checked in the end. */
TEST(lack_of_descriptors_blames_nobody)
{
    static uint32_t backends[60];
    rig_open(CONF_HEALTH_HTTP, 50);
    origin_open(&origin, rig.child.loop, "127.0.0.1");
    for (int i = 0; i < 60; i++) {
        char name[16];
        snprintf(name, sizeof(name), "b%d", i);
        backends[i] = rig_add(0, name, &origin.addr);
    }
    int log[2], spare = 0;
    CHECK_EQ(pipe(log), 0);
    log_set_fd(log[1]);
    rig_start();
    CHECK((spare = dup(0)) != -1);
    struct rlimit none = {.rlim_cur = (rlim_t)spare, .rlim_max = 1024}, some = {1024, 1024};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    close(spare);
    RUN_UNTIL(log_says(log[0], "health check not possible"));
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &some), 0);
    uint64_t failed = 0;
    for (int i = 0; i < 60; i++) {
        RUN_UNTIL(rig_health(backends[i]) == HEALTH_HEALTHY);
        failed += count_get(&rig_entry(backends[i])->checks_failed);
    }
    CHECK_EQ(failed, 0);
    close_one();
}
