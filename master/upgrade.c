#include "master/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/log.h"
#include "base/magic.h"
#include "master/notify.h"
#include "master/processes.h"
#include "master/rehearsal.h"
#include "master/reload.h"
#include "master/saved.h"
#include "proc/spawn.h"
#include "proc/title.h"
#include "shm/events.h"
#include "shm/tickets.h"

#define TEST_S  30.0 /* for the new program to check the file */
#define AGAIN_S 0.05 /* messages to children are still on their way, or a reload is */

static void say_failed(struct master *m, const char *why)
{
    log_error("upgrade failed: version %s goes on serving: %s", BALLAST_VERSION, why);
    event_write(&m->table, INDEX_NONE, "upgrade", "ballast", BALLAST_VERSION, "failed", why);
}

static void failed(struct master *m, const char *why)
{
    say_failed(m, why);
    m->upgrade.state = UPGRADE_NONE;
    notify_ready(m);
}

/* ---- EXEC ---- */

static int keep_open(int fd, bool keep)
{
    return fd < 0 ? 0 : fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

static int keep_all(struct master *m, bool keep)
{
    int result = keep_open(m->table.fd, keep) | keep_open(m->pid_fd, keep) |
                 keep_open(m->program_fd, keep) | keep_open(tickets_fd(), keep);
    for (const struct listen_group *g = m->listens.groups; g != NULL; g = g->next)
        for (uint32_t i = 0; i < g->count; i++)
            result |= keep_open(g->fds[i], keep);
    PROCESS_EACH(m, p)
    if (process_alive(p))
        result |= keep_open(p->control_fd, keep);
    return result;
}

int upgrade_write_letter(const char *text)
{
    int fd = memfd_create("ballast-upgrade", 0);
    for (size_t done = 0, len = strlen(text); fd != -1 && done < len;) {
        ssize_t n = write(fd, text + done, len - done);
        if (n <= 0) {
            (void)close(fd);
            return -1;
        }
        done += (size_t)n;
    }
    return fd;
}

/* Returns only when that failed: errno. */
static void become(const char *path, const char *letter)
{
    char number[16];
    int fd = upgrade_write_letter(letter);
    if (fd == -1)
        return;
    (void)snprintf(number, sizeof number, "%d", fd);
    if (setenv(UPGRADE_ENV, number, 1) == 0) {
        (void)fflush(NULL);
        (void)execv(path, title_arguments());
    }
    int saved = errno;
    (void)unsetenv(UPGRADE_ENV);
    (void)close(fd);
    errno = saved;
}

static void become_new(struct master *m)
{
    char *letter = upgrade_format(m, false);
    saved_now(m);
    if (letter != NULL && title_arguments() != NULL && keep_all(m, true) == 0)
        become(m->program, letter);
    int saved = errno;
    (void)keep_all(m, false);
    free(letter);
    errno = saved;
}

/* Nothing under way that only this program knows. */
static bool is_quiet(struct master *m)
{
    if (reload_runs(m))
        return false;
    PROCESS_EACH(m, p)
    if (p->outbox.first != NULL || p->state == PROCESS_STARTING)
        return false;
    return true;
}

static void wait_for_quiet(struct master *m);

static void execute(struct master *m)
{
    char why[256];
    if (!is_quiet(m)) {
        wait_for_quiet(m);
        return;
    }
    m->upgrade.state = UPGRADE_NONE;
    log_info("upgrade: executing %s", m->program);
    become_new(m);
    (void)snprintf(why, sizeof why, "cannot execute %.160s: %s", m->program, strerror(errno));
    failed(m, why);
}

static void on_time(struct ev_loop *loop UNUSED, ev_timer *w, int events UNUSED)
{
    struct master *m = w->data;
    MAGIC_CHECK(m, MASTER_MAGIC);
    if (m->stop.level == STOP_NONE)
        execute(m);
}

static void wait_for_quiet(struct master *m)
{
    ev_now_update(m->loop);
    ev_timer_init(&m->upgrade.timer, on_time, AGAIN_S, 0.0);
    m->upgrade.timer.data = m;
    ev_timer_start(m->loop, &m->upgrade.timer);
}

static void execute_soon(struct master *m)
{
    m->upgrade.state = UPGRADE_EXEC;
    wait_for_quiet(m);
}

/* ---- REHEARSAL ---- */

static bool is_stopping(struct master *m)
{
    if (m->stop.level != STOP_NONE)
        m->upgrade.state = UPGRADE_NONE;
    return m->stop.level != STOP_NONE;
}

static void on_rehearsed(struct master *m, bool clean, const char *how, const char *words)
{
    char why[400];
    if (is_stopping(m))
        return;
    if (clean) {
        execute_soon(m);
        return;
    }
    (void)snprintf(why, sizeof why, "it could not serve (%s): %s", how, words);
    failed(m, why);
}

void upgrade_reloaded(struct master *m, bool adopted)
{
    struct upgrade *u = &m->upgrade;
    if (u->state != UPGRADE_RELOAD)
        return;
    if (!adopted) {
        failed(m, "the reload before it failed");
    } else if (!u->rehearses) {
        execute_soon(m);
    } else {
        u->state = UPGRADE_REHEARSAL;
        if (rehearsal_begin(m, on_rehearsed) == -1)
            failed(m, strerror(errno));
    }
}

/* ---- TEST ---- */

static void on_tested(struct master *m, bool clean, const char *how, const char *words)
{
    char why[400];
    if (is_stopping(m))
        return;
    m->upgrade.rehearses = strstr(words, UPGRADE_REHEARSES) != NULL;
    if (clean && strstr(words, UPGRADE_SPOKEN) != NULL) {
        m->upgrade.state = UPGRADE_RELOAD;
        reload_request(m, false);
    } else if (clean) {
        failed(m, "it does not know how to take over: a restart is needed");
    } else {
        (void)snprintf(why, sizeof why, "its check failed (%s): %s", how, words);
        failed(m, why);
    }
}

static int begin_test(struct master *m)
{
    char check[] = "check", c[] = "-c", version[] = "--version", name[] = "ballast";
    char path[sizeof m->program];
    const char *file = m->options->conf_path;
    (void)snprintf(path, sizeof path, "%s", file == NULL ? "" : file);
    char *with_file[] = {name, check, c, path, NULL}, *without[] = {name, version, NULL};
    return trial_begin(m, file == NULL ? without : with_file, (struct spawn_keep){0}, TEST_S,
                       on_tested);
}

void upgrade_request(struct master *m)
{
    bool busy = m->upgrade.state != UPGRADE_NONE || m->stop.level != STOP_NONE || !m->started;
    if (busy || m->roles->sample != NULL || m->program[0] == '\0') {
        say_failed(m, m->roles->sample != NULL ? "a demonstration is not upgraded"
                      : busy                   ? "the instance starts, stops or upgrades already"
                                               : "the path of the program is not known");
        return;
    }
    event_write(&m->table, INDEX_NONE, "upgrade", "ballast", BALLAST_VERSION, "testing",
                m->program);
    notify_reloading(m);
    m->upgrade.state = UPGRADE_TEST;
    if (begin_test(m) == -1)
        failed(m, strerror(errno));
}

void upgrade_cancel(struct master *m)
{
    if (m->upgrade.state == UPGRADE_TEST || m->upgrade.state == UPGRADE_REHEARSAL)
        trial_kill(m);
    else if (m->upgrade.state == UPGRADE_EXEC)
        ev_timer_stop(m->loop, &m->upgrade.timer);
}
