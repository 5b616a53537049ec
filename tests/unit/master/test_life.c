/* An instance from start to end: start, deaths, signals, exit statuses. */
#include "tests/unit/harness.h"
#include "tests/unit/master/rig.h"

#define TWO "\"127.0.0.1:9\", \"127.0.0.1:10\""

static void begin(uint32_t workers)
{
    rig_prepare();
    rig_write_usual(workers, TWO);
    rig_start();
}

/* The start fails with status 1 and the log says why. */
static void check_start_fails(const char *why)
{
    rig_fork((struct master_options){0});
    int status = rig_status();
    if (!log_has(why))
        cat_log();
    CHECK(log_has(why));
    CHECK_EQ(WEXITSTATUS(status), 1);
    CHECK_EQ(deeds->ready_calls, 0);
    CHECK_EQ(access(pid_path, F_OK), -1);
}

TEST(starts_serves_and_stops)
{
    begin(2);
    CHECK_EQ(generation(), 1);
    CHECK_EQ(word_get(&seen.header->workers), 2);
    for (uint32_t slot = 0; slot < 2; slot++)
        CHECK(slot_is(slot, SLOT_READY));
    CHECK(slot_is(SLOT_HEALTH_INDEX, SLOT_READY));
    CHECK(slot_is(SLOT_ADMIN_INDEX, SLOT_READY));
    CHECK_EQ(access(pid_path, R_OK), 0);
    CHECK(ask(rig_port) != 0);
    CHECK_EQ(ask(rig_admin_port), (int)rig_pid(SLOT_ADMIN_INDEX));
    rig_stop();
    CHECK_EQ(ask(rig_port), 0);
    CHECK_EQ(deeds->drains, 4);
}

TEST(every_worker_gets_connections)
{
    bool hit[3] = {false};
    begin(3);
    for (int i = 0; i < 200; i++) {
        int pid = ask(rig_port);
        for (uint32_t w = 0; w < 3; w++)
            hit[w] |= pid == (int)rig_pid(w);
    }
    CHECK(hit[0] && hit[1] && hit[2]);
    rig_stop();
}

TEST(wrong_configuration_is_status_1)
{
    rig_prepare();
    rig_write(2, "listeners = { web = { bend = 1 } }\n");
    rig_fork((struct master_options){0});
    CHECK_EQ(WEXITSTATUS(rig_status()), 1);
    CHECK_EQ(deeds->starts, 0);
}

TEST(missing_file_is_status_1)
{
    rig_prepare();
    rig_fork((struct master_options){0});
    CHECK_EQ(WEXITSTATUS(rig_status()), 1);
}

TEST(child_that_cannot_start_is_status_1)
{
    rig_prepare();
    rig_write_usual(2, TWO);
    deeds->refuse_start = true;
    check_start_fails("cannot start: refused by the test");
}

TEST(second_instance_is_refused_by_the_pid_file)
{
    begin(1);
    pid_t one = master_pid;
    uint32_t calls = deeds->ready_calls;
    rig_fork((struct master_options){0});
    CHECK_EQ(WEXITSTATUS(rig_status()), 1);
    CHECK(log_has("is held by a running instance"));
    CHECK_EQ(deeds->ready_calls, calls);
    CHECK_EQ(access(pid_path, R_OK), 0); /* the first one's */
    master_pid = one;
    rig_stop();
}

static int listen_on(uint16_t port, bool reuse_port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (reuse_port)
        CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    CHECK_EQ(listen(fd, 8), 0);
    return fd;
}

TEST(port_that_shares_with_everybody_is_refused_too)
{
    rig_prepare();
    rig_write_usual(2, TWO);
    int fd = listen_on(rig_port, true); /* SO_REUSEPORT: a plain bind with it would succeed */
    rig_fork((struct master_options){0});
    CHECK_EQ(WEXITSTATUS(rig_status()), 1);
    CHECK_EQ(deeds->starts, 0);
    close(fd);
}

TEST(killed_worker_is_replaced_and_its_gauges_taken_back)
{
    begin(3);
    uint32_t old = rig_pid(1), others[] = {rig_pid(0), rig_pid(2), rig_pid(SLOT_HEALTH_INDEX)};
    CHECK_EQ(kill((pid_t)old, SIGKILL), 0);
    UNTIL(rig_pid(1) != old && slot_is(1, SLOT_READY));
    CHECK(log_has("killed by signal 9"));
    CHECK_EQ(count_get(&seen.header->restarts), 1);
    CHECK_EQ(count_get(&seen.slots[1].restarts), 1);
    CHECK_EQ(rig_pid(0), others[0]);
    CHECK_EQ(rig_pid(2), others[1]);
    CHECK_EQ(rig_pid(SLOT_HEALTH_INDEX), others[2]);
    rig_stop();
}

TEST(every_role_is_replaced)
{
    static const uint32_t slots[] = {0, SLOT_HEALTH_INDEX, SLOT_ADMIN_INDEX};
    begin(1);
    for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
        uint32_t old = rig_pid(slots[i]);
        CHECK_EQ(kill((pid_t)old, SIGKILL), 0);
        UNTIL(rig_pid(slots[i]) != old && rig_pid(slots[i]) != 0 && slot_is(slots[i], SLOT_READY));
    }
    UNTIL(ask(rig_port) == (int)rig_pid(0));
    CHECK_EQ(ask(rig_admin_port), (int)rig_pid(SLOT_ADMIN_INDEX));
    rig_stop();
}

TEST(deaths_are_understood_although_the_starter_ignored_them)
{
    rig_prepare();
    rig_write_usual(1, TWO);
    struct sigaction ignore = {.sa_handler = SIG_IGN}, usual = {.sa_handler = SIG_DFL};
    CHECK_EQ(sigaction(SIGCHLD, &ignore, NULL), 0);
    rig_fork((struct master_options){0});
    CHECK_EQ(sigaction(SIGCHLD, &usual, NULL), 0);
    rig_attach();
    uint32_t old = rig_pid(0);
    CHECK_EQ(kill((pid_t)old, SIGKILL), 0);
    UNTIL(rig_pid(0) != old && slot_is(0, SLOT_READY));
    CHECK(log_has("killed by signal 9"));
    rig_stop();
}

TEST(connections_queued_at_a_dead_worker_reach_its_successor)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fds[20];
    char text[32];
    begin(1);
    uint32_t old = rig_pid(0);
    in.sin_port = htons(rig_port);
    CHECK_EQ(kill((pid_t)old, SIGSTOP), 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_EQ(connect(fds[i], (struct sockaddr *)&in, sizeof in), 0);
    }
    CHECK_EQ(kill((pid_t)old, SIGKILL), 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        CHECK(read(fds[i], text, sizeof text) > 0);
        CHECK((uint32_t)strtol(text, NULL, 10) != old);
    }
    rig_stop();
}

TEST(one_that_keeps_dying_young_waits_longer_and_longer)
{
    begin(1);
    deeds->die_on_serve = true;
    CHECK_EQ(kill((pid_t)rig_pid(0), SIGKILL), 0);
    UNTIL(log_has("the next one starts in 200 ms"));
    CHECK(log_has("the next one starts in 50 ms"));
    CHECK(log_has("the next one starts in 100 ms"));
    deeds->die_on_serve = false;
    UNTIL(slot_is(0, SLOT_READY) && ask(rig_port) == (int)rig_pid(0));
    rig_stop();
}

TEST(connections_avoid_a_worker_in_backoff)
{
    begin(2);
    deeds->die_on_serve = true;
    CHECK_EQ(kill((pid_t)rig_pid(1), SIGKILL), 0);
    UNTIL(log_has("the next one starts in 400 ms") && slot_is(1, SLOT_DEAD));
    for (int i = 0; i < 40; i++)
        CHECK_EQ(ask(rig_port), (int)rig_pid(0));
    deeds->die_on_serve = false;
    UNTIL(slot_is(1, SLOT_READY));
    UNTIL(ask(rig_port) == (int)rig_pid(1)); /* and it gets them again afterwards */
    rig_stop();
}

TEST(children_leave_when_the_master_is_killed)
{
    begin(2);
    uint32_t pids[] = {rig_pid(0), rig_pid(1), rig_pid(SLOT_HEALTH_INDEX),
                       rig_pid(SLOT_ADMIN_INDEX)};
    CHECK_EQ(kill(master_pid, SIGKILL), 0);
    rig_status();
    for (size_t i = 0; i < ARRAY_LEN(pids); i++)
        UNTIL(!alive(pids[i]));
    CHECK_EQ(ask(rig_port), 0);
    close(listen_on(rig_port, false)); /* free for anybody */
    CHECK(table_sweep() >= 1 || !table_master_alive(&seen));
    table_close(&seen);
}

TEST(table_of_a_killed_master_is_swept_by_the_next)
{
    char name[64];
    begin(1);
    snprintf(name, sizeof name, "/dev/shm/ballast.%d", (int)master_pid);
    uint32_t pids[] = {rig_pid(0), rig_pid(SLOT_HEALTH_INDEX), rig_pid(SLOT_ADMIN_INDEX)};
    CHECK_EQ(kill(master_pid, SIGKILL), 0);
    rig_status();
    for (size_t i = 0; i < ARRAY_LEN(pids); i++)
        UNTIL(!alive(pids[i]));
    table_close(&seen);
    deeds->ready_calls = 0;
    rig_start(); /* the stale pid file is no obstacle either */
    CHECK_EQ(access(name, F_OK), -1);
    rig_stop();
}

TEST(second_term_cuts)
{
    begin(2);
    deeds->stay_on_drain = true;
    rig_write(2, "x"); /* of no matter: nothing is loaded any more */
    CHECK_EQ(kill(master_pid, SIGQUIT), 0);
    UNTIL(deeds->drains == 2);
    CHECK(alive((uint32_t)master_pid));
    CHECK_EQ(kill(master_pid, SIGTERM), 0);
    UNTIL(deeds->drains == 4); /* told the limit */
    CHECK_EQ(kill(master_pid, SIGTERM), 0);
    CHECK_EQ(rig_status(), 0);
}

TEST(term_ends_what_does_not_end_in_time)
{
    begin(2);
    deeds->stay_on_drain = true;
    rig_stop(); /* drain_timeout is 500 ms */
}

TEST(stopped_child_is_killed_at_the_end)
{
    begin(2);
    CHECK_EQ(kill((pid_t)rig_pid(1), SIGSTOP), 0);
    CHECK_EQ(kill(master_pid, SIGINT), 0);
    UNTIL(deeds->drains == 1);
    CHECK_EQ(kill(master_pid, SIGINT), 0);
    CHECK_EQ(rig_status(), 0);
    CHECK(log_has("does not leave: it is killed"));
}

TEST(winch_does_nothing)
{
    begin(1);
    CHECK_EQ(kill(master_pid, SIGWINCH), 0);
    CHECK(rig_reload());
    CHECK_EQ(generation(), 2);
    rig_stop();
}

TEST(usr1_reopens_the_log_everywhere)
{
    char old[sizeof log_path + 8];
    begin(1);
    snprintf(old, sizeof old, "%s.1", log_path);
    CHECK_EQ(rename(log_path, old), 0);
    CHECK_EQ(kill(master_pid, SIGUSR1), 0);
    UNTIL(log_has("to=reopened"));
    unlink(old);
    rig_stop();
}

TEST(daemon_is_in_the_background_when_it_serves)
{
    char text[32] = "";
    rig_prepare();
    rig_write_usual(1, TWO);
    rig_fork((struct master_options){.daemon = true});
    CHECK_EQ(rig_status(), 0);
    CHECK_EQ(deeds->ready_calls, 1);
    CHECK(ask(rig_port) != 0);
    int fd = open(pid_path, O_RDONLY);
    CHECK(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    pid_t pid = (pid_t)strtol(text, NULL, 10);
    CHECK(pid != master_pid);
    CHECK_EQ(kill(pid, SIGTERM), 0);
    UNTIL(!alive((uint32_t)pid));
    CHECK_EQ(access(pid_path, F_OK), -1);
}

TEST(daemon_that_cannot_start_is_status_1)
{
    rig_prepare();
    rig_write_usual(1, TWO);
    deeds->refuse_start = true;
    rig_fork((struct master_options){.daemon = true});
    CHECK_EQ(WEXITSTATUS(rig_status()), 1);
}
