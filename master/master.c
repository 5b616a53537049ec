/* master/master.c: from nothing to a running instance, and back. */
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/magic.h"
#include "master/access_logs.h"
#include "master/adopt.h"
#include "master/daemon.h"
#include "master/effective.h"
#include "master/generation.h"
#include "master/history.h"
#include "master/lease_socket.h"
#include "master/limits.h"
#include "master/listen.h"
#include "master/logs.h"
#include "master/notify.h"
#include "master/pidfile.h"
#include "master/processes.h"
#include "master/saved.h"
#include "master/signals.h"
#include "master/watch.h"
#include "master/tickets.h"
#include "master/takeover.h"
#include "master/upgrade.h"
#include "proc/privileges.h"
#include "proc/title.h"
#include "shm/count.h"

#define DEFAULT_USER  "ballast"
#define FALLBACK_USER "nobody"

static int failed(const char *what)
{
    logs_start_failed("cannot start: %s", what);
    return -1;
}

static int failed_errno(const char *what)
{
    logs_start_failed("cannot start: %s: %s", what, strerror(errno));
    return -1;
}

/* ---- the configuration
 * ------------------------------------------------------------------------------------- */
static int load(struct master *m, struct conf_errors *errors)
{
    char why[256];
    if (bundle_reserve(why, sizeof why) == -1) {
        conf_errors_add(errors, (struct conf_pos){0}, "%s", why);
        return -1;
    }
    m->current = generation_load(m, errors);
    return m->current == NULL ? -1 : 0;
}

static void commit_rows(struct master *m)
{
    const struct generation *g = m->current;
    adopt_commit(m, g->conf, &m->first_adoption);
    word_set(&m->table.header->generation, g->number);
    effective_publish(m);
    if (!m->takeover.active)
        saved_load(m);
}

static int prepare(struct master *m, struct conf_errors *errors)
{
    struct generation *g = m->current;
    if (listen_prepare(m, g->conf, g->conf->workers, errors) == -1)
        return -1;
    listen_inherit_end(m);
    if (access_logs_prepare(m, g->conf, errors) == -1 ||
        adopt_prepare(m, g->conf, &m->first_adoption, errors) == -1)
        return -1;
    if (generation_seal(g) == -1) {
        conf_errors_add(errors, (struct conf_pos){0}, "cannot seal the configuration: %s",
                        strerror(errno));
        return -1;
    }
    if (!m->takeover.active) /* else the old workers serve until the new ones are ready */
        commit_rows(m);
    return 0;
}

void master_serve(struct master *m)
{
    if (m->takeover.active)
        commit_rows(m);
}

/* Problems of the first configuration go to stderr as they are, as a compiler's do: file:line:
 * error: text. */
static int with_errors(struct master *m, int (*step)(struct master *, struct conf_errors *))
{
    struct arena arena;
    struct conf_errors errors;
    arena_init(&arena);
    conf_errors_init(&errors, &arena);
    int result = step(m, &errors);
    if (result == -1)
        (void)fputs(conf_errors_format(&errors), stderr);
    arena_free(&arena);
    return result;
}

/* ---- the process
 * ------------------------------------------------------------------------------------------- */
static int choose_user(struct master *m)
{
    char why[256];
    const char *user = m->current->conf->user;
    if (privileges_check(user, why, sizeof why) == -1) {
        if (strcmp(user, DEFAULT_USER) != 0)
            return failed(why);
        user = FALLBACK_USER;
        if (privileges_check(user, why, sizeof why) == -1)
            return failed(why);
        log_info("there is no user \"%s\": children run as \"%s\"", DEFAULT_USER, user);
    }
    (void)snprintf(m->user, sizeof m->user, "%s", user);
    return 0;
}

static int lock_pid_file(struct master *m)
{
    char why[512];
    if (m->takeover.active)
        return 0;
    const char *path =
        m->options->pid_file != NULL ? m->options->pid_file : m->current->conf->pid_file;
    return pidfile_open(m, path, why, sizeof why) == 0 ? 0 : failed(why);
}

static int create_table(struct master *m)
{
    char why[256];
    if (m->takeover.active) {
        if (takeover_table(m, why, sizeof why) == -1)
            return failed(why);
        m->table_made = true;
        return 0;
    }
    unsigned swept = table_sweep();
    if (swept > 0)
        log_info("removed %u tables that dead instances left", swept);
    limits_check_memory();
    if (table_create(&m->table, m->current->conf->path, why, sizeof why) == -1)
        return failed(why);
    m->table_made = true;
    return 0;
}

static int make_table(struct master *m)
{
    const char *name = m->current->conf->table_group;
    char why[256];
    if (create_table(m) == -1)
        return -1;
    const struct group *group = name[0] != '\0' ? getgrnam(name) : NULL;
    if (name[0] == '\0' && table_share(&m->table, TABLE_NO_GROUP) == 0)
        return 0;
    if (group != NULL && table_share(&m->table, group->gr_gid) == 0)
        return 0;
    (void)snprintf(why, sizeof why, "table_group \"%s\": %s", name,
                   group != NULL || name[0] == '\0' ? strerror(errno) : "no such group");
    return failed(why);
}

static void set_title(const struct master *m)
{
    char title[300];
    const char *path = m->current->conf->path;
    (void)snprintf(title, sizeof title, "%s %s", m->takeover.rehearsal ? "rehearsal of" : "master",
                   path[0] != '\0' ? path : "(command line)");
    title_set(title, "ballast");
}

static int open_log(struct master *m)
{
    log_set_role("master");
    if (m->takeover.rehearsal) /* its words are read by whom it rehearses for */
        return 0;
    if (logs_open(m, m->current->conf) == -1)
        return failed_errno(m->current->conf->log.target);
    return 0;
}

static int make_loop(struct master *m)
{
    m->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (m->loop == NULL)
        return failed("no event loop");
    return signals_start(m) == 0 ? 0 : failed_errno("signals");
}

/* By its path now: after a package replaced the file, /proc/self/exe names the old one. */
static void find_program(struct master *m)
{
    ssize_t n = 0;
    if (m->program[0] == '\0')
        n = readlink("/proc/self/exe", m->program, sizeof m->program - 1);
    if (n == -1)
        m->program[0] = '\0';
    m->program_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

static int start(struct master *m)
{
    find_program(m);
    if (!m->takeover.active)
        listen_inherit(m);
    if (with_errors(m, load) == -1)
        return -1;
    set_title(m);
    if (open_log(m) == -1 || lock_pid_file(m) == -1 || choose_user(m) == -1)
        return -1;
    limits_raise_descriptors(m->current->conf);
    if (make_table(m) == -1 || lease_socket_open(m) == -1 || with_errors(m, prepare) == -1 ||
        make_loop(m) == -1)
        return -1;
    notify_init(m);
    tickets_start(m);
    processes_init(m);
    watch_start(m);
    if (m->takeover.active)
        takeover_children(m);
    processes_start_missing(m);
    return 0;
}

static void finish(struct master *m)
{
    if (m->started)
        saved_now(m);
    if (m->loop != NULL) {
        ev_timer_stop(m->loop, &m->saved.timer);
        tickets_stop(m);
        upgrade_cancel(m);
        notify_close(m);
        watch_stop(m);
        signals_stop(m);
        ev_loop_destroy(m->loop);
    }
    listen_close_all(m);
    lease_socket_close(m);
    access_logs_close(m);
    if (m->effective_fd > 0)
        (void)close(m->effective_fd);
    if (m->table_made) {
        table_unlink(&m->table);
        table_close(&m->table);
        m->table_made = false;
    }
    pidfile_remove(m);
    if (m->program_fd != -1)
        (void)close(m->program_fd);
    while (m->generations != NULL)
        generation_forget(m, m->generations);
    free(m->first_adoption.added);
    free(m->saved.written);
    history_free(m);
    if (m->takeover.active)
        takeover_forget(m);
    if (m->started)
        log_info("ballast has stopped: status=%d", m->status);
}

static struct master *new_master(const struct master_options *o, const struct master_roles *roles)
{
    struct master *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    MAGIC_SET(m, MASTER_MAGIC);
    m->options = o;
    m->roles = roles;
    m->signal_fd = m->pid_fd = m->daemon_fd = m->effective_fd = m->notify.fd = m->program_fd =
        m->lease_fd = -1;
    return m;
}

static int begin(struct master *m)
{
    if (signals_block() == -1 || takeover_read(m) == -1)
        return -1;
    if ((m->takeover.active || daemon_begin(m) == 0) && start(m) == 0)
        return 0;
    if (m->takeover.active)
        takeover_failed(m, "it cannot start");
    return -1;
}

int master_run(const struct master_options *o, const struct master_roles *roles)
{
    struct master *m = new_master(o, roles);
    if (m == NULL)
        return failed("out of memory") == -1;
    if (begin(m) == -1)
        m->status = 1;
    else if (processes_alive(m, SLOT_EMPTY))
        ev_run(m->loop, 0);
    finish(m);
    int status = m->status;
    MAGIC_CLEAR(m);
    free(m);
    return status;
}
