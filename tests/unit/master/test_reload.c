/* Reload: adopted by all or by nobody, the table follows, what fails leaves no trace. */
#include "proc/bundle.h"
#include "tests/unit/harness.h"
#include "tests/unit/master/rig.h"

#define A "\"127.0.0.1:9\""
#define B "\"127.0.0.1:10\""
#define C "\"127.0.0.1:11\""

static void begin(uint32_t workers, const char *backends)
{
    rig_prepare();
    rig_write_usual(workers, backends);
    rig_start();
}

/* Live members of a pool, by name in order: "127.0.0.1:9 127.0.0.1:10". */
static const char *members(const char *pool)
{
    static char text[1024];
    uint32_t found[16], row = pool_find(&seen, pool);
    text[0] = '\0';
    if (row == INDEX_NONE)
        return "no pool";
    uint32_t count = entry_members(&seen, row, found, ARRAY_LEN(found));
    for (uint32_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s/%u", i > 0 ? " " : "",
                 entry_at(&seen, found[i])->name, entry_weight(entry_at(&seen, found[i])));
    return text;
}

static uint32_t member(const char *pool, const char *name)
{
    return entry_find(&seen, pool_find(&seen, pool), name);
}

TEST(same_processes_adopt)
{
    begin(2, A);
    uint32_t pids[] = {rig_pid(0), rig_pid(1), rig_pid(SLOT_HEALTH_INDEX),
                       rig_pid(SLOT_ADMIN_INDEX)};
    for (uint32_t i = 0; i < 20; i++)
        CHECK(rig_reload());
    CHECK_EQ(generation(), 21);
    UNTIL(deeds->goes == 4 * 20);
    CHECK_EQ(rig_pid(0), pids[0]);
    CHECK_EQ(rig_pid(1), pids[1]);
    CHECK_EQ(rig_pid(SLOT_HEALTH_INDEX), pids[2]);
    CHECK_EQ(rig_pid(SLOT_ADMIN_INDEX), pids[3]);
    for (uint32_t slot = 0; slot < 2; slot++)
        UNTIL(word_get(&seen.slots[slot].generation) == 21);
    rig_stop();
}

TEST(members_follow_the_file)
{
    begin(2, A ", " B);
    uint32_t kept = member("app", "127.0.0.1:10");
    CHECK_STR(members("app"), "127.0.0.1:9/1 127.0.0.1:10/1");
    rig_write_usual(2, B ", " C);
    CHECK(rig_reload());
    CHECK_STR(members("app"), "127.0.0.1:10/1 127.0.0.1:11/1");
    CHECK_EQ(member("app", "127.0.0.1:10"), kept);
    rig_stop();
}

TEST(values_follow_the_file)
{
    begin(1, A);
    rig_write(
        1,
        "listeners = { web = { bind = \"127.0.0.1:%u\", pool = \"app\" } }\nmax_connections = 77\n"
        "pools = { app = { backends = ( { address = " A
        ", weight = 7, max_connections = 5 } ) } }\n",
        rig_port);
    CHECK(rig_reload());
    CHECK_STR(members("app"), "127.0.0.1:9/7");
    CHECK_EQ(word_get(&entry_at(&seen, member("app", "127.0.0.1:9"))->max_connections), 5);
    CHECK_EQ(word_get(&seen.header->max_connections), 77);
    rig_stop();
}

TEST(changed_address_is_another_backend)
{
    begin(1, A);
    rig_write(1,
              "listeners = { web = { bind = \"127.0.0.1:%u\", pool = \"app\" } }\n"
              "pools = { app = { backends = ( { name = \"127.0.0.1:9\", address = " C " } ) } }\n",
              rig_port);
    uint32_t before = member("app", "127.0.0.1:9");
    CHECK(rig_reload());
    CHECK_STR(members("app"), "127.0.0.1:9/1");
    CHECK(member("app", "127.0.0.1:9") != before);
    CHECK_STR(entry_at(&seen, member("app", "127.0.0.1:9"))->endpoint, "127.0.0.1:11");
    rig_stop();
}

TEST(bad_file_changes_nothing)
{
    begin(2, A);
    uint32_t goes = deeds->goes;
    rig_write(2, "listeners = { web = { bind = \"127.0.0.1:%u\", pol = \"app\" } }\n", rig_port);
    CHECK(!rig_reload());
    CHECK_EQ(generation(), 1);
    CHECK(log_has("/conf:7: error: "));
    CHECK(log_has("generation 1 goes on serving"));
    CHECK_STR(members("app"), "127.0.0.1:9/1");
    CHECK(ask(rig_port) != 0);
    CHECK_EQ(deeds->goes, goes);
    rig_write_usual(2, A ", " B);
    CHECK(rig_reload());
    CHECK_STR(members("app"), "127.0.0.1:9/1 127.0.0.1:10/1");
    rig_stop();
}

/* A reload to other backends and another port fails with this text, and nothing of it is left. */
static void check_rolled_back(const char *text)
{
    rig_write(2,
              "listeners = { web = { bind = \"127.0.0.1:%u\", pool = \"app\" }, new = { bind = "
              "\"127.0.0.1:%u\", pool = \"other\" } }\n"
              "pools = { app = { backends = [ " B " ] }, other = { backends = [ " C " ] } }\n",
              rig_port, rig_port2);
    CHECK(!rig_reload());
    if (!log_has(text))
        cat_log();
    CHECK(log_has(text));
    CHECK_EQ(generation(), 1);
    CHECK_STR(members("app"), "127.0.0.1:9/1");
    UNTIL(strcmp(members("other"), "no pool") == 0);
    CHECK_EQ(listener_find(&seen, "new"), INDEX_NONE);
    CHECK_EQ(ask(rig_port2), 0);
    CHECK(ask(rig_port) != 0);
}

/* ... and once what made it fail is gone it goes through. */
static void check_goes_through(void)
{
    CHECK(rig_reload());
    CHECK_STR(members("app"), "127.0.0.1:10/1");
    CHECK_STR(members("other"), "127.0.0.1:11/1");
    UNTIL(ask(rig_port2) != 0);
    CHECK(ask(rig_port) != 0);
    rig_stop();
}

TEST(refused_by_one_is_rolled_back_in_all)
{
    begin(2, A);
    deeds->refuse_offer = true;
    check_rolled_back("worker 1 refused it: not this one");
    UNTIL(deeds->aborts == 3); /* the others had built it, or were about to */
    deeds->refuse_offer = false;
    check_goes_through();
}

TEST(death_before_ready_is_rolled_back)
{
    begin(2, A);
    uint32_t old = rig_pid(1);
    deeds->die_on_offer = true;
    check_rolled_back("worker 1 died while it prepared for it: exit status 8");
    deeds->die_on_offer = false;
    UNTIL(rig_pid(1) != old && slot_is(1, SLOT_READY));
    check_goes_through();
}

TEST(no_answer_in_time_is_rolled_back_and_who_is_stuck_replaced)
{
    begin(2, A);
    uint32_t stuck = rig_pid(1);
    rig_write_usual(2, B);
    deeds->hang_on_offer = true;
    CHECK(!rig_reload());
    deeds->hang_on_offer = false;
    CHECK(log_has("worker 1 did not get ready for it within 10 s"));
    CHECK_STR(members("app"), "127.0.0.1:9/1");
    UNTIL(rig_pid(1) != stuck && slot_is(1, SLOT_READY));
    CHECK(rig_reload());
    CHECK_STR(members("app"), "127.0.0.1:10/1");
    rig_stop();
}

TEST(address_in_use_is_rolled_back)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    begin(2, A);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    in.sin_port = htons(rig_port2);
    CHECK_EQ(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    CHECK_EQ(listen(fd, 1), 0);
    rig_write(2,
              "listeners = { web = { bind = \"127.0.0.1:%u\", pool = \"app\" } }\n"
              "pools = { app = { backends = [ " B " ] } }\n",
              rig_port2);
    CHECK(!rig_reload());
    CHECK(log_has("Address already in use"));
    CHECK_STR(members("app"), "127.0.0.1:9/1");
    close(fd);
    CHECK(rig_reload());
    UNTIL(ask(rig_port2) != 0);
    UNTIL(ask(rig_port) == 0); /* not configured any more */
    rig_stop();
}

TEST(requests_meanwhile_become_one)
{
    begin(2, A);
    for (int i = 0; i < 200; i++)
        CHECK_EQ(kill(master_pid, SIGUSR2), 0);
    rig_write_usual(2, A ", " B);
    CHECK_EQ(kill(master_pid, SIGUSR2), 0); /* the newest file wins */
    UNTIL(strcmp(members("app"), "127.0.0.1:9/1 127.0.0.1:10/1") == 0);
    CHECK(generation() <= 202);
    rig_stop();
}

TEST(old_generations_stay_while_somebody_needs_them)
{
    begin(2, A);
    deeds->keep_old = true;
    for (uint32_t i = 0; i < BUNDLE_PLACES - 1; i++)
        CHECK(rig_reload());
    CHECK(!rig_reload());
    CHECK(log_has("requests that began with older ones still run"));
    uint32_t pids[] = {rig_pid(0), rig_pid(1), rig_pid(SLOT_HEALTH_INDEX),
                       rig_pid(SLOT_ADMIN_INDEX)};
    static const uint32_t slots[] = {0, 1, SLOT_HEALTH_INDEX, SLOT_ADMIN_INDEX};
    for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
        CHECK_EQ(kill((pid_t)pids[i], SIGKILL), 0); /* who held them is dead: they are free */
        UNTIL(rig_pid(slots[i]) != pids[i] && slot_is(slots[i], SLOT_READY));
    }
    for (uint32_t i = 0; i < 10; i++)
        CHECK(rig_reload());
    rig_stop();
}

TEST(removed_pool_keeps_its_row_while_a_generation_names_it)
{
    begin(1, A);
    deeds->keep_old = true;
    rig_write(1,
              "listeners = { site = { bind = \"127.0.0.1:%u\", pool = \"other\" } }\n"
              "pools = { other = { backends = [ " B " ] } }\n",
              rig_port);
    CHECK(rig_reload());
    CHECK_STR(members("app"),
              "127.0.0.1:9/1"); /* requests that began before may still retry there */
    CHECK_STR(members("other"), "127.0.0.1:10/1");
    deeds->keep_old = false;
    static const uint32_t slots[] = {0, SLOT_HEALTH_INDEX, SLOT_ADMIN_INDEX};
    for (size_t i = 0; i < ARRAY_LEN(slots); i++)
        CHECK_EQ(kill((pid_t)rig_pid(slots[i]), SIGKILL), 0);
    UNTIL(strcmp(members("app"), "no pool") == 0);
    CHECK_EQ(listener_find(&seen, "web"), INDEX_NONE);
    rig_stop();
}

TEST(what_needs_a_restart_is_refused)
{
    begin(1, A);
    char old[sizeof pid_path];
    snprintf(old, sizeof old, "%s", pid_path);
    snprintf(pid_path, sizeof pid_path, "%s/pid2", directory);
    rig_write_usual(1, A);
    CHECK(!rig_reload());
    CHECK(log_has("changing pid_file from"));
    snprintf(pid_path, sizeof pid_path, "%s", old);
    rig_stop();
}

TEST(admin_hears_what_changed)
{
    rig_prepare();
    deeds->ask_reload = true;
    rig_write_usual(1, A);
    rig_start();
    UNTIL(deeds->answered == 1);
    CHECK_EQ(deeds->answer_number, 0);
    CHECK_STR(
        deeds->answer,
        "{\"generation\":2,\"changes\":[],\"overrides\":[],\"connections\":0,\"in_flight\":0}");
    rig_write_usual(1, "\"nonsense\"");
    CHECK_EQ(kill((pid_t)rig_pid(SLOT_ADMIN_INDEX), SIGKILL), 0); /* its successor asks again */
    UNTIL(deeds->answered == 2);
    CHECK_EQ(deeds->answer_number, 1);
    CHECK(strstr(deeds->answer, ",\"errors\":[\"") != NULL);
    CHECK(strstr(deeds->answer, "conf:8: error: ") != NULL);
    rig_stop();
}

TEST(long_answer_comes_in_memory)
{
    rig_prepare();
    rig_write_usual(1, A);
    rig_start();
    deeds->ask_reload = true;
    rig_write(1,
              "a = 1\nb = 1\nc = 1\nd = 1\ne = 1\nf = 1\ng = 1\nh = 1\ni = 1\nj = 1\nk = 1\nl = 1\n"
              "m = 1\nn = 1\no = 1\np = 1\nq = 1\nr = 1\ns = 1\nt = 1\nu = 1\nv = 1\n");
    CHECK_EQ(kill((pid_t)rig_pid(SLOT_ADMIN_INDEX), SIGKILL), 0);
    UNTIL(deeds->answered == 1);
    CHECK(strlen(deeds->answer) >= CTL_TEXT);
    CHECK(strstr(deeds->answer, "\\\"v\\\"") != NULL);
    rig_stop();
}

/* ---- more and fewer workers
 * ------------------------------------------------------------------------------------ */
static pid_t hammer(void)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    uint32_t count = 0;
    for (bool stop = false; !stop; count++) {
        if (ask(rig_port) == 0)
            _exit(1); /* refused, reset, or closed without an answer */
        stop = deeds->answer_number == 4711;
    }
    _exit(count > 100 ? 0 : 2);
}

TEST(workers_come_and_go_without_a_lost_connection)
{
    pid_t pids[2];
    begin(2, A);
    for (size_t i = 0; i < ARRAY_LEN(pids); i++)
        pids[i] = hammer();
    for (int round = 0; round < 3; round++) {
        rig_write_usual(5, A);
        CHECK(rig_reload());
        for (uint32_t w = 0; w < 5; w++)
            UNTIL(slot_is(w, SLOT_READY));
        CHECK_EQ(word_get(&seen.header->workers), 5);
        UNTIL(ask(rig_port) == (int)rig_pid(4));
        rig_write_usual(1, A);
        CHECK(rig_reload());
        for (uint32_t w = 1; w < 5; w++)
            UNTIL(slot_is(w, SLOT_FREE));
        CHECK_EQ(word_get(&seen.header->workers), 1);
        for (int i = 0; i < 20; i++)
            CHECK_EQ(ask(rig_port), (int)rig_pid(0));
    }
    deeds->answer_number = 4711;
    for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
        int status;
        CHECK_EQ(waitpid(pids[i], &status, 0), pids[i]);
        CHECK_EQ(status, 0);
    }
    CHECK_EQ(count_get(&seen.header->restarts), 0);
    rig_stop();
}

TEST(worker_that_still_drains_is_not_taken_back)
{
    begin(2, A);
    rig_write(2,
              "listeners = { web = { bind = \"127.0.0.1:%u\", pool = \"app\" } }\n"
              "pools = { app = { backends = [ " A " ] } }\ndrain_timeout_unknown = 1\n",
              rig_port);
    CHECK(!rig_reload());
    deeds->stay_on_drain = true;
    rig_write_usual(1, A);
    CHECK(rig_reload());
    UNTIL(slot_is(1, SLOT_DRAINING));
    rig_write_usual(2, A);
    if (rig_reload()) /* its half second was over already */
        CHECK(slot_is(1, SLOT_READY) || slot_is(1, SLOT_STARTING));
    else
        CHECK(log_has("still finishes what it had in flight"));
    UNTIL(slot_is(1, SLOT_FREE) || slot_is(1, SLOT_READY));
    UNTIL(rig_reload());
    UNTIL(slot_is(1, SLOT_READY));
    rig_stop();
}

TEST(admin_can_be_turned_off_and_on)
{
    begin(1, A);
    FILE *f = fopen(conf_path, "we");
    fprintf(f,
            "workers = 1\nuser = \"nobody\"\npid_file = \"%s\"\ndrain_timeout = \"500ms\"\nadmin = "
            "\"off\"\n"
            "log = { level = \"info\", target = \"%s\" }\n"
            "listeners = { web = { bind = \"127.0.0.1:%u\", pool = \"app\" } }\n"
            "pools = { app = { backends = [ " A " ] } }\n",
            pid_path, log_path, rig_port);
    fclose(f);
    CHECK(rig_reload());
    UNTIL(slot_is(SLOT_ADMIN_INDEX, SLOT_FREE));
    CHECK_EQ(ask(rig_admin_port), 0);
    rig_write_usual(1, A);
    CHECK(rig_reload());
    UNTIL(slot_is(SLOT_ADMIN_INDEX, SLOT_READY));
    UNTIL(ask(rig_admin_port) == (int)rig_pid(SLOT_ADMIN_INDEX));
    rig_stop();
}

TEST(bind_can_move_between_wildcard_and_address)
{
    begin(2, A);
    rig_write(2,
              "listeners = { web = { bind = \"*:%u\", pool = \"app\" } }\n"
              "pools = { app = { backends = [ " A " ] } }\n",
              rig_port);
    CHECK(rig_reload());
    UNTIL(ask(rig_port) != 0);
    rig_write_usual(2, A);
    CHECK(rig_reload());
    UNTIL(ask(rig_port) != 0);
    rig_stop();
}
