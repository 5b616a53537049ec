/*
 * A whole instance in a process of its own, with tiny roles in place of the real ones: a worker
 * answers each connection with its pid and closes. What the roles shall do wrong is set, and what
 * they did is counted, in memory shared with the test. Include after harness.h.
 */
#ifndef BALLAST_TESTS_MASTER_RIG_H
#define BALLAST_TESTS_MASTER_RIG_H

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/net.h"
#include "proc/control.h"
#include "master/master.h"
#include "shm/count.h"
#include "shm/entry.h"
#include "shm/pool.h"
#include "shm/slot.h"

#define RIG_WAIT_MS 60000u

/* Waits until the condition holds, or fails the test. */
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        uint64_t deadline_ms_ = clock_mono_ms() + RIG_WAIT_MS;                                     \
        while (!(condition)) {                                                                     \
            if (clock_mono_ms() > deadline_ms_)                                                    \
                harness_fail(__FILE__, __LINE__, "never: " #condition);                            \
            (void)poll(NULL, 0, 2);                                                                \
        }                                                                                          \
    } while (0)

struct deeds {
    volatile uint32_t starts, serves, goes, aborts, offers, drains, reopens, ready_calls;
    volatile bool refuse_start, die_on_serve, refuse_offer, die_on_offer, hang_on_offer;
    volatile bool keep_old, stay_on_drain, ask_reload;
    volatile uint32_t answered, answer_number;
    char answer[4096];
};
static struct deeds *deeds;

/* ---- the roles
 * --------------------------------------------------------------------------------------------- */
struct tiny_accept {
    ev_io io;
    struct child *child;
};

static void on_connection(struct ev_loop *loop UNUSED, ev_io *w, int events UNUSED)
{
    char text[16];
    for (int fd; (fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC)) != -1;) {
        int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
        (void)!write(fd, text, (size_t)n);
        close(fd);
    }
}

static void watch_listens(struct child *c)
{
    struct tiny_accept *all = calloc(WORKERS_MAX, sizeof *all);
    free(c->data);
    c->data = all;
    for (uint32_t i = 0; i < c->listen_count; i++) {
        ev_io_init(&all[i].io, on_connection, c->listens[i].fd, EV_READ);
        ev_io_start(c->loop, &all[i].io);
    }
}

static void unwatch_listens(struct child *c)
{
    struct tiny_accept *all = c->data;
    for (uint32_t i = 0; all != NULL && i < c->listen_count; i++) {
        on_connection(c->loop, &all[i].io, 0); /* what waits in the queue */
        ev_io_stop(c->loop, &all[i].io);
    }
}

static int tiny_start(struct child *c UNUSED, char *why, size_t why_cap)
{
    __atomic_add_fetch(&deeds->starts, 1, __ATOMIC_RELAXED);
    if (!deeds->refuse_start)
        return 0;
    snprintf(why, why_cap, "refused by the test");
    return -1;
}

static void tiny_serve(struct child *c)
{
    if (deeds->die_on_serve && c->role->slot_role == SLOT_WORKER)
        _exit(9);
    watch_listens(c);
    __atomic_add_fetch(&deeds->serves, 1, __ATOMIC_RELAXED);
    if (deeds->ask_reload && c->role->slot_role == SLOT_ADMIN)
        CHECK_EQ(child_ask(c, CTL_RELOAD, 0, ""), 0);
}

static int tiny_offer(struct child *c, const struct conf *next UNUSED, char *why, size_t why_cap)
{
    bool worker_one = c->role->slot_role == SLOT_WORKER && c->index == 1;
    __atomic_add_fetch(&deeds->offers, 1, __ATOMIC_RELAXED);
    if (deeds->die_on_offer && worker_one)
        _exit(8);
    while (deeds->hang_on_offer && worker_one)
        (void)poll(NULL, 0, 2);
    if (!deeds->refuse_offer || !worker_one)
        return 0;
    snprintf(why, why_cap, "not this one");
    return -1;
}

static void tiny_go(struct child *c, const struct conf *old)
{
    struct tiny_accept *all = c->data;
    for (uint32_t i = 0; i < WORKERS_MAX; i++)
        if (ev_is_active(&all[i].io))
            ev_io_stop(c->loop, &all[i].io);
    child_listens_prune(c);
    watch_listens(c);
    __atomic_add_fetch(&deeds->goes, 1, __ATOMIC_RELAXED);
    if (!deeds->keep_old)
        child_release(c, old);
}

static void tiny_abort(struct child *c UNUSED, const struct conf *next UNUSED)
{
    __atomic_add_fetch(&deeds->aborts, 1, __ATOMIC_RELAXED);
}

static void tiny_drain(struct child *c, uint32_t deadline_ms UNUSED)
{
    unwatch_listens(c);
    __atomic_add_fetch(&deeds->drains, 1, __ATOMIC_RELAXED);
    if (!deeds->stay_on_drain || c->role->slot_role != SLOT_WORKER)
        child_exit(c);
}

static void tiny_message(struct child *c UNUSED, uint32_t type, uint32_t number, const char *text,
                         int fd)
{
    if (type != CTL_RELOADED)
        return;
    if (fd == -1)
        snprintf(deeds->answer, sizeof deeds->answer, "%s", text);
    else
        (void)!pread(fd, deeds->answer, sizeof deeds->answer - 1, 0);
    deeds->answer_number = number;
    deeds->answered++;
}

#define TINY_HOOKS                                                                                 \
    .start = tiny_start, .serve = tiny_serve, .offer = tiny_offer, .go = tiny_go,                  \
    .abort = tiny_abort, .drain = tiny_drain, .message = tiny_message

static const struct role tiny_worker = {.name = "worker", .slot_role = SLOT_WORKER, TINY_HOOKS};
static const struct role tiny_health = {.name = "health", .slot_role = SLOT_HEALTH, TINY_HOOKS};
static const struct role tiny_admin = {.name = "admin", .slot_role = SLOT_ADMIN, TINY_HOOKS};

/* ---- the instance
 * ------------------------------------------------------------------------------------------- */
static char directory[] = "/tmp/ballast-unit.XXXXXX";
static char conf_path[sizeof directory + 16], pid_path[sizeof directory + 16],
    log_path[sizeof directory + 16];
static uint16_t rig_port, rig_port2, rig_admin_port;
static pid_t master_pid;
static struct table seen; /* the instance's table, read-only */

/* A port that is free; the socket that holds it until all are chosen. */
static int hold_port(uint16_t *port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd != -1);
    CHECK_EQ(bind(fd, (struct sockaddr *)&in, len), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    *port = ntohs(in.sin_port);
    return fd;
}

static void choose_ports(void)
{
    int fds[] = {hold_port(&rig_port), hold_port(&rig_port2), hold_port(&rig_admin_port)};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
}

/* Replaces the configuration file. */
__attribute__((unused)) static PRINTF(2, 3) void rig_write(uint32_t workers, const char *fmt, ...)
{
    char next[sizeof conf_path + 8];
    snprintf(next, sizeof next, "%s.new", conf_path);
    FILE *f = fopen(next, "we");
    CHECK(f != NULL);
    fprintf(f,
            "workers = %u\nuser = \"nobody\", state_file = \"\"\npid_file = \"%s\"\ndrain_timeout "
            "= \"500ms\"\n"
            "log = { level = \"info\", target = \"%s\" }\nadmin = { bind = \"127.0.0.1:%u\" }\n",
            workers, pid_path, log_path, rig_admin_port);
    va_list va;
    va_start(va, fmt);
    vfprintf(f, fmt, va);
    va_end(va);
    CHECK_EQ(fclose(f), 0);
    CHECK_EQ(rename(next, conf_path), 0);
}

/* One listener, one pool with these backends. */
__attribute__((unused)) static void rig_write_usual(uint32_t workers, const char *backends)
{
    rig_write(workers,
              "listeners = { web = { bind = \"127.0.0.1:%u\", pool = \"app\" } }\n"
              "pools = { app = { backends = [ %s ] } }\n",
              rig_port, backends);
}

static pid_t owner; /* of the directory: the test itself, not what it forks */

static void remove_files(void)
{
    if (getpid() != owner)
        return;
    unlink(conf_path);
    unlink(pid_path);
    unlink(log_path);
    rmdir(directory);
}

__attribute__((unused)) static void rig_prepare(void)
{
    CHECK(mkdtemp(directory) != NULL);
    owner = getpid();
    CHECK_EQ(atexit(remove_files), 0); /* a test that fails leaves them, to be looked at */
    snprintf(conf_path, sizeof conf_path, "%s/conf", directory);
    snprintf(pid_path, sizeof pid_path, "%s/pid", directory);
    snprintf(log_path, sizeof log_path, "%s/log", directory);
    choose_ports();
    deeds = mmap(NULL, sizeof *deeds, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(deeds != MAP_FAILED);
}

static void count_ready(void)
{
    deeds->ready_calls++;
}

__attribute__((noreturn)) static void run_master(struct master_options o)
{
    static const struct master_roles roles = {
        .worker = &tiny_worker, .health = &tiny_health, .admin = &tiny_admin};
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)dup2(null, 2); /* the log is in a file, and start errors are expected */
    alarm(0);
    o.conf_path = conf_path;
    o.on_ready = count_ready;
    exit(master_run(&o, &roles));
}

/* Forks the instance; does not wait for it. */
__attribute__((unused)) static void rig_fork(struct master_options o)
{
    fflush(NULL);
    master_pid = fork();
    CHECK(master_pid != -1);
    if (master_pid == 0)
        run_master(o);
}

static void cat_log(void)
{
    char line[1024];
    FILE *f = fopen(log_path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        fputs(line, stderr);
    if (f != NULL)
        fclose(f);
}

__attribute__((unused)) static bool log_has(const char *text)
{
    char line[2048];
    bool found = false;
    FILE *f = fopen(log_path, "re");
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL)
        found = strstr(line, text) != NULL;
    if (f != NULL)
        fclose(f);
    return found;
}

static bool ready(void)
{
    int status;
    if (waitpid(master_pid, &status, WNOHANG) == master_pid) {
        cat_log();
        harness_fail(__FILE__, __LINE__, "the instance ended while starting");
    }
    return deeds->ready_calls > 0;
}

__attribute__((unused)) static void rig_attach(void)
{
    char why[256];
    UNTIL(ready());
    CHECK_EQ(table_attach(&seen, (uint32_t)master_pid, why, sizeof why), 0);
    UNTIL(deeds->serves >= word_get(&seen.header->workers) + 2); /* everybody took the GO */
}

__attribute__((unused)) static void rig_start(void)
{
    rig_fork((struct master_options){0});
    rig_attach();
}

/* Waits for the master's end. */
__attribute__((unused)) static int rig_status(void)
{
    int status;
    CHECK_EQ(waitpid(master_pid, &status, 0), master_pid);
    return status;
}

__attribute__((unused)) static void rig_stop(void)
{
    char name[64];
    CHECK_EQ(kill(master_pid, SIGTERM), 0);
    int status = rig_status();
    if (status != 0)
        cat_log();
    CHECK_EQ(status, 0);
    CHECK(!log_has("left: exit status 1") && !log_has("left: exit status 2")); /* a sanitizer's */
    snprintf(name, sizeof name, "/dev/shm/ballast.%d", (int)master_pid);
    CHECK_EQ(access(name, F_OK), -1);
    CHECK_EQ(access(pid_path, F_OK), -1);
    table_close(&seen);
}

static uint32_t rig_pid(uint32_t slot)
{
    return word_get(&seen.slots[slot].pid);
}

__attribute__((unused)) static bool slot_is(uint32_t slot, enum slot_state state)
{
    return word_get(&seen.slots[slot].state) == (uint32_t)state;
}

__attribute__((unused)) static uint32_t generation(void)
{
    return word_get(&seen.header->generation);
}

/* Asks for a reload and waits for its outcome. True: adopted. */
__attribute__((unused)) static bool rig_reload(void)
{
    uint64_t ok = count_get(&seen.header->reloads_ok),
             failed = count_get(&seen.header->reloads_failed);
    CHECK_EQ(kill(master_pid, SIGHUP), 0);
    UNTIL(count_get(&seen.header->reloads_ok) + count_get(&seen.header->reloads_failed) >
          ok + failed);
    return count_get(&seen.header->reloads_ok) > ok;
}

/* Connects and reads the answer: the worker's pid; 0: refused or reset. */
__attribute__((unused)) static int ask(uint16_t port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    char text[32] = "";
    int pid = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct linger reset = {.l_onoff = 1}; /* no TIME_WAIT: thousands of these are made */
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (connect(fd, (struct sockaddr *)&in, sizeof in) == 0 && read(fd, text, sizeof text - 1) > 0)
        pid = (int)strtol(text, NULL, 10);
    close(fd);
    return pid;
}

__attribute__((unused)) static bool alive(uint32_t pid)
{
    return kill((pid_t)pid, 0) == 0;
}

#endif
