#include "master/processes.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "master/access_logs.h"
#include "master/death.h"
#include "master/generation.h"
#include "master/listen.h"
#include "master/messages.h"
#include "master/watch.h"
#include "proc/spawn.h"
#include "shm/events.h"

/* ---- the table
 * --------------------------------------------------------------------------------------------- */
static void place(struct master *m, const struct role *role, uint32_t slot, uint32_t index)
{
    struct process *p = &m->processes[slot];
    p->role = role;
    p->index = index;
    role_title(role->name, role->slot_role, index, p->title, sizeof p->title);
}

void processes_place_workers(struct master *m, uint32_t base)
{
    for (uint32_t i = 0; i < WORKERS_MAX; i++)
        place(m, m->roles->worker, (base + i) % WORKERS_MAX, i);
    m->worker_base = base;
}

void processes_init(struct master *m)
{
    PROCESS_EACH(m, p)
    {
        *p = (struct process){.master = m, .slot = (uint32_t)(p - m->processes)};
        p->pidfd = p->control_fd = -1;
        MAGIC_SET(p, PROCESS_MAGIC);
    }
    processes_place_workers(m, 0);
    place(m, m->roles->health, SLOT_HEALTH_INDEX, 0);
    place(m, m->roles->admin, SLOT_ADMIN_INDEX, 0);
    if (m->roles->broker != NULL)
        place(m, m->roles->broker, SLOT_BROKER_INDEX, 0);
    for (uint32_t i = 0; m->roles->sample != NULL && i < m->roles->sample_count; i++)
        place(m, m->roles->sample, SLOT_ADMIN_INDEX + 1 + i, i);
}

bool process_wanted(const struct process *p)
{
    const struct conf *conf = p->master->current->conf;
    if (p->role == NULL)
        return false;
    if (p->role->slot_role == SLOT_WORKER)
        return p->index < conf->workers;
    if (p->role->slot_role == SLOT_ADMIN)
        return !conf->admin.off && conf->admin.bind_count > 0;
    if (p->role->slot_role == SLOT_BROKER)
        return conf->client_leases > 0;
    return true;
}

bool process_alive(const struct process *p)
{
    return p->state != PROCESS_NONE && p->state != PROCESS_BACKOFF;
}

bool processes_alive(const struct master *m, enum slot_role role)
{
    for (uint32_t i = 0; i < SLOT_MAX; i++) {
        const struct process *p = &m->processes[i];
        if (process_alive(p) && (role == SLOT_EMPTY || p->role->slot_role == role))
            return true;
    }
    return false;
}

/* ---- state and messages
 * ------------------------------------------------------------------------------------ */
static enum slot_state shown(enum process_state state)
{
    switch (state) {
    case PROCESS_NONE: return SLOT_FREE;
    case PROCESS_STARTING:
    case PROCESS_READY: return SLOT_STARTING;
    case PROCESS_SERVING:
    case PROCESS_OFFERED:
    case PROCESS_ADOPTED: return SLOT_READY;
    case PROCESS_DRAINING: return SLOT_DRAINING;
    case PROCESS_BACKOFF: return SLOT_DEAD;
    }
    return SLOT_DEAD;
}

void process_set_state(struct process *p, enum process_state state)
{
    if (p->state != PROCESS_NONE || state != PROCESS_NONE)
        slot_set_state(&p->master->table, p->slot, shown(state));
    p->state = state;
}

void process_event(struct process *p, const char *from, const char *to, const char *reason)
{
    event_write(&p->master->table, INDEX_NONE, "worker", p->title, from, to, reason);
}

void process_kill(struct process *p)
{
    if (p->pidfd != -1)
        (void)syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
}

void process_send(struct process *p, const struct ctl_msg *msg, const int *fds)
{
    if (p->control_fd == -1) /* closed on purpose: it leaves */
        return;
    if (outbox_send(&p->outbox, msg, fds) == 0)
        return;
    log_warning("cannot reach %s: message=%s error=\"%s\"", p->title, ctl_type_name(msg->type),
                strerror(errno));
    process_kill(p);
}

void process_tell(struct process *p, uint32_t type, uint32_t number)
{
    struct ctl_msg msg = {.type = type, .number = number, .generation = p->master->current->number};
    process_send(p, &msg, NULL);
}

void process_drain(struct process *p, uint32_t deadline_ms)
{
    process_set_state(p, PROCESS_DRAINING);
    ev_timer_stop(p->master->loop, &p->timer);
    process_tell(p, CTL_DRAIN, deadline_ms);
}

/* ---- starting one
 * ---------------------------------------------------------------------------------------------- */
static void on_control(struct ev_loop *loop UNUSED, ev_io *w, int events UNUSED)
{
    struct process *p = w->data;
    MAGIC_CHECK(p, PROCESS_MAGIC);
    messages_read(p);
}

static void on_death(struct ev_loop *loop UNUSED, ev_io *w, int events UNUSED)
{
    struct process *p = w->data;
    MAGIC_CHECK(p, PROCESS_MAGIC);
    death_reap(p);
}

static void on_timer(struct ev_loop *loop UNUSED, ev_timer *w, int events UNUSED)
{
    struct process *p = w->data;
    MAGIC_CHECK(p, PROCESS_MAGIC);
    if (p->state == PROCESS_BACKOFF) {
        process_set_state(p, PROCESS_NONE);
        processes_start_missing(p->master);
    } else if (p->state == PROCESS_STARTING) {
        log_error("%s (pid %d) did not get ready within %.0f s: it is killed", p->title,
                  (int)p->pid, READY_DEADLINE_S);
        process_kill(p);
    }
}

void processes_watch(struct process *p)
{
    struct ev_loop *loop = p->master->loop;
    ev_io_init(&p->control_io, on_control, p->control_fd, EV_READ);
    ev_io_init(&p->pid_io, on_death, p->pidfd, EV_READ);
    ev_timer_init(&p->timer, on_timer, READY_DEADLINE_S, 0.0);
    p->control_io.data = p->pid_io.data = p->timer.data = p;
    outbox_init(&p->outbox, loop, p->control_fd);
    ev_io_start(loop, &p->control_io);
    ev_io_start(loop, &p->pid_io);
}

static void await_ready(struct process *p)
{
    ev_now_update(p->master->loop);
    ev_timer_start(p->master->loop, &p->timer);
}

static pid_t spawn(struct process *p)
{
    struct master *m = p->master;
    const struct conf *conf = m->current->conf;
    struct child_listen *listens = calloc(listen_count_max(conf) + 1, sizeof *listens);
    if (listens == NULL)
        return -1;
    struct spawn s = {.role = p->role,
                      .table = &m->table,
                      .slot = p->slot,
                      .index = p->index,
                      .conf = conf,
                      .listens = listens,
                      .listen_count = listen_of(m, p, conf, false, listens),
                      .user = m->user,
                      .detached = m->options->daemon,
                      .debug = m->options->debug,
                      .parent_loop = m->loop,
                      .stay_open = {-1}};
    pid_t pid = spawn_child(&s, &p->control_fd, &p->pidfd);
    int saved = errno;
    free(listens);
    errno = saved;
    return pid;
}

static void start(struct process *p)
{
    struct master *m = p->master;
    p->refused = p->elsewhere = false;
    watch_forget(p);
    role_title(p->role->name, p->role->slot_role, p->index, p->title, sizeof p->title);
    p->started_us = clock_mono_us();
    if (slot_claim(&m->table, p->slot, p->role->slot_role, p->index) == -1 ||
        (p->pid = spawn(p)) == -1) {
        death_unborn(p, strerror(errno));
        return;
    }
    slot_set_pid(&m->table, p->slot, (uint32_t)p->pid);
    process_set_state(p, PROCESS_STARTING);
    generation_hold(m->current, p->slot);
    processes_watch(p);
    await_ready(p);
    access_logs_send(p);
    log_debug("process started: name=\"%s\" pid=%d", p->title, (int)p->pid);
}

void processes_start_missing(struct master *m)
{
    PROCESS_EACH(m, p)
    {
        if (m->stop.level != STOP_NONE) /* one of them could not start: the instance ends */
            return;
        bool wanted = process_wanted(p);
        if (p->state == PROCESS_BACKOFF && !wanted) {
            ev_timer_stop(m->loop, &p->timer);
            process_set_state(p, PROCESS_NONE);
        }
        if (p->state == PROCESS_NONE && wanted)
            start(p);
    }
}
