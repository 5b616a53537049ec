/* What the service manager sees and gives: notifications, sockets, steering of connections. */
#include <sys/un.h>
#include "master/listen.h"
#include "master/notify.h"
#include "master/steer.h"
#include "tests/unit/harness.h"
#include "tests/unit/master/rig.h"

#define ONE "\"127.0.0.1:9\""

/* ---- sd_notify
 * --------------------------------------------------------------------------------------------- */
static int notify_fd;

static void open_notify(bool abstract)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char text[sizeof un.sun_path];
    int n = abstract ? snprintf(text, sizeof text, "@ballast-test-%d", (int)getpid())
                     : snprintf(text, sizeof text, "%s/notify", directory);
    memcpy(un.sun_path, text, (size_t)n + 1);
    if (abstract)
        un.sun_path[0] = '\0';
    notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(notify_fd, (struct sockaddr *)&un,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)),
             0);
    CHECK_EQ(setenv("NOTIFY_SOCKET", text, 1), 0);
}

/* The next datagram that says this. */
static const char *notified(const char *what)
{
    static char text[512];
    do {
        struct pollfd p = {.fd = notify_fd, .events = POLLIN};
        CHECK_EQ(poll(&p, 1, RIG_WAIT_MS), 1);
        ssize_t n = recv(notify_fd, text, sizeof text - 1, 0);
        CHECK(n > 0);
        text[n] = '\0';
    } while (strstr(text, what) == NULL);
    return text;
}

static void check_notifications(void)
{
    rig_write_usual(2, ONE);
    rig_start();
    CHECK(strstr(notified("READY=1"),
                 "STATUS=Serving generation 1: 2 workers, 1 listeners, 1 pools"));
    CHECK(rig_reload());
    CHECK(strstr(notified("RELOADING=1"), "MONOTONIC_USEC=") != NULL); /* in the same datagram */
    CHECK(strstr(notified("READY=1"), "generation 2") != NULL);
    rig_write_usual(2, "\"nonsense\"");
    CHECK(!rig_reload());
    notified("RELOADING=1");
    CHECK(strstr(notified("READY=1"), "generation 2") != NULL);
    rig_stop();
    notified("STOPPING=1");
}

TEST(notifies_by_path)
{
    char path[sizeof directory + 16];
    rig_prepare();
    open_notify(false);
    check_notifications();
    snprintf(path, sizeof path, "%s/notify", directory);
    unlink(path);
}

TEST(notifies_in_the_abstract_namespace)
{
    rig_prepare();
    open_notify(true);
    check_notifications();
}

TEST(feeds_the_watchdog)
{
    rig_prepare();
    open_notify(true);
    CHECK_EQ(setenv("WATCHDOG_USEC", "100000", 1), 0);
    rig_write_usual(1, ONE);
    rig_start();
    notified("WATCHDOG=1");
    notified("WATCHDOG=1");
    rig_stop();
}

/* ---- sockets
 * -----------------------------------------------------------------------------------------------
 */
static int listening_socket(uint16_t port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
    CHECK_EQ(listen(fd, 64), 0);
    return fd;
}

TEST(socket_of_the_service_manager_is_used)
{
    char pid[16];
    rig_prepare();
    rig_write_usual(2, ONE);
    int ours = listening_socket(rig_port), other = listening_socket(rig_port2);
    fflush(NULL);
    master_pid = fork();
    if (master_pid == 0) {
        CHECK_EQ(dup2(ours, 100), 100); /* out of the way of 3 and 4 */
        CHECK_EQ(dup2(other, 101), 101);
        CHECK_EQ(dup2(100, 3), 3);
        CHECK_EQ(dup2(101, 4), 4);
        for (int fd = 5; fd < 102; fd++)
            close(fd);
        snprintf(pid, sizeof pid, "%d", (int)getpid());
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", "2", 1);
        run_master((struct master_options){0});
    }
    close(ours);
    close(other);
    UNTIL(ready());
    char why[256];
    CHECK_EQ(table_attach(&seen, (uint32_t)master_pid, why, sizeof why), 0);
    CHECK(ask(rig_port) != 0);
    CHECK_EQ(ask(rig_port2), 0); /* no bind names it */
    CHECK(log_has("no bind names the socket from the service manager"));
    CHECK(rig_reload());
    uint32_t old = rig_pid(0);
    CHECK_EQ(kill((pid_t)old, SIGKILL), 0);
    UNTIL(rig_pid(0) != old && slot_is(0, SLOT_READY));
    CHECK(ask(rig_port) != 0);
    rig_stop();
}

TEST(sockets_meant_for_another_process_are_left_alone)
{
    rig_prepare();
    rig_write_usual(1, ONE);
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "1", 1);
    rig_start();
    CHECK(ask(rig_port) != 0);
    rig_stop();
}

TEST(unix_socket_is_shared_by_all_workers_and_removed_at_the_end)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char text[32];
    rig_prepare();
    snprintf(un.sun_path, sizeof un.sun_path, "%s/socket", directory);
    rig_write(2,
              "listeners = { web = { bind = \"unix:%s\", pool = \"app\" } }\n"
              "pools = { app = { backends = [ " ONE " ] } }\n",
              un.sun_path);
    rig_start();
    for (int i = 0; i < 20; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        CHECK_EQ(connect(fd, (struct sockaddr *)&un, sizeof un), 0);
        CHECK(read(fd, text, sizeof text) > 0);
        close(fd);
    }
    CHECK(rig_reload());
    CHECK_EQ(access(un.sun_path, F_OK), 0);
    rig_stop();
    CHECK_EQ(access(un.sun_path, F_OK), -1);
}

TEST(both_families_on_one_port)
{
    rig_prepare();
    rig_write(2,
              "listeners = { web = { bind = [ \"0.0.0.0:%u\", \"[::]:%u\" ], pool = \"app\" } }\n"
              "pools = { app = { backends = [ " ONE " ] } }\n",
              rig_port, rig_port);
    rig_start();
    CHECK(ask(rig_port) != 0);
    rig_stop();
}

/* ---- steering
 * ---------------------------------------------------------------------------------------------- */
static uint32_t hits(int fd)
{
    uint32_t count = 0;
    for (int c; (c = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) != -1; count++)
        close(c);
    return count;
}

static void connect_many(uint16_t port, uint32_t count)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    for (uint32_t i = 0; i < count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_EQ(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
        close(fd);
    }
}

TEST(connections_go_only_to_workers_that_take_them)
{
    enum { WORKERS = 4, COUNT = 200 };
    static struct master m;
    static struct generation g;
    struct conf conf = {.workers = WORKERS};
    struct conf_listener web = {.bind_count = 1};
    struct conf_bind bind = {0};
    struct arena arena;
    struct conf_errors errors;
    rig_prepare();
    arena_init(&arena);
    conf_errors_init(&errors, &arena);
    bind.text = arena_printf(&arena, "127.0.0.1:%u", rig_port);
    CHECK_EQ(net_addr_parse(bind.text, &bind.addr, deeds->answer, 64), 0);
    web.binds = &bind;
    conf.listeners = &web;
    conf.listener_count = 1;
    g.conf = &conf;
    m.current = &g;
    CHECK_EQ(listen_prepare(&m, &conf, WORKERS, &errors), 0);
    CHECK_EQ(listen_arm(&m, &errors), 0);
    listen_commit(&m);
    const int *fds = m.listens.groups->fds;
    for (uint32_t w = 0; w < WORKERS; w++)
        m.processes[w].state = PROCESS_SERVING;
    m.processes[2].state = PROCESS_BACKOFF;
    steer_update(&m);
    connect_many(rig_port, COUNT);
    CHECK_EQ(hits(fds[2]), 0);
    uint32_t others[] = {hits(fds[0]), hits(fds[1]), hits(fds[3])};
    CHECK_EQ(others[0] + others[1] + others[2], COUNT);
    CHECK(others[0] > 0 && others[1] > 0 && others[2] > 0);
    conf.workers = 1;
    steer_update(&m);
    connect_many(rig_port, COUNT);
    CHECK_EQ(hits(fds[0]), COUNT);
    listen_trim(&m, 1);
    steer_update(&m); /* nothing left to leave out: the program goes */
    connect_many(rig_port, COUNT);
    CHECK_EQ(hits(fds[0]), COUNT);
    listen_close_all(&m);
    arena_free(&arena);
}
