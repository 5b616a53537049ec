#include "master/lifecycle.h"

#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "base/magic.h"
#include "master/daemon.h"
#include "master/heir.h"
#include "master/history.h"
#include "master/listen.h"
#include "master/logs.h"
#include "master/notify.h"
#include "master/processes.h"
#include "master/rehearsal.h"
#include "master/reload.h"
#include "master/saved.h"
#include "master/steer.h"
#include "master/stop.h"
#include "master/takeover.h"
#include "shm/events.h"

#define STEER_SETTLE_S                                                                             \
    0.02 /* connections that the kernel assigned just before: still accepted by the surplus worker \
          */

/* ---- the first start
 * --------------------------------------------------------------------------------------- */
static bool all_ready(const struct master *m)
{
    for (uint32_t i = 0; i < SLOT_MAX; i++)
        if (process_wanted(&m->processes[i]) && m->processes[i].state != PROCESS_READY &&
            m->processes[i].state !=
                PROCESS_DRAINING) /* of the program before: its place is taken */
            return false;
    return true;
}

static void let_serve(struct process *p)
{
    process_set_state(p, PROCESS_SERVING);
    process_tell(p, CTL_GO, 0);
}

static void announce(struct master *m)
{
    char text[160];
    const struct conf *conf = m->current->conf;
    if (m->takeover.active) {
        takeover_done(m);
        notify_ready(m);
        return;
    }
    (void)snprintf(text, sizeof text,
                   "version %s, %u workers, %u listeners, %u pools, generation %u", BALLAST_VERSION,
                   conf->workers, conf->listener_count, conf->pool_count, m->current->number);
    event_write(&m->table, INDEX_NONE, "start", "ballast", "starting", "serving", text);
    notify_ready(m);
    if (m->options->on_ready != NULL)
        m->options->on_ready();
    daemon_ready(m); /* the last word to the terminal */
}

static int arm(struct master *m)
{
    struct arena arena;
    arena_init(&arena);
    struct conf_errors errors;
    conf_errors_init(&errors, &arena);
    int result = listen_arm(m, &errors);
    if (result == -1)
        logs_start_failed("cannot start: %s", errors.first->text);
    arena_free(&arena);
    return result;
}

static void serve_first(struct master *m)
{
    if (m->takeover.rehearsal) {
        rehearsal_passed(m);
        return;
    }
    if (arm(m) == -1) {
        if (m->takeover.active)
            takeover_failed(m, "a socket cannot listen");
        m->status = 1;
        stop_request(m, STOP_NOW);
        return;
    }
    master_serve(m);
    listen_commit(m);
    m->started = true;
    if (m->saved.due)
        saved_soon(m);
    PROCESS_EACH(m, p)
    if (p->state == PROCESS_READY)
        let_serve(p);
    announce(m);
}

void lifecycle_start_failed(struct process *p, const char *how)
{
    struct master *m = p->master;
    if (m->stop.level == STOP_NONE && !p->refused)
        logs_start_failed("%s cannot start: %s", p->title, how);
    if (m->takeover.active && m->stop.level == STOP_NONE)
        takeover_failed(m, how);
    m->status = 1;
    stop_request(m, STOP_NOW);
}

/* ---- ready, refused
 * ---------------------------------------------------------------------------------------- */
void lifecycle_ready(struct process *p, const struct ctl_msg *msg UNUSED)
{
    struct master *m = p->master;
    ev_timer_stop(m->loop, &p->timer);
    process_set_state(p, PROCESS_READY);
    if (m->stop.level != STOP_NONE)
        return;
    if (!m->started) {
        if (all_ready(m))
            serve_first(m);
        return;
    }
    let_serve(p);
    if (p->role->slot_role == SLOT_ADMIN)
        history_tell(m);
    char text[48];
    (void)snprintf(text, sizeof text, "pid %d", (int)p->pid);
    process_event(p, "starting", "serving", text);
    steer_update(m);
    reload_joined(p);
}

void lifecycle_refused(struct process *p, const struct ctl_msg *msg)
{
    p->refused = true;
    if (p->master->started)
        log_error("%s cannot start: %s", p->title, msg->text);
    else
        logs_start_failed("%s cannot start: %s", p->title, msg->text);
}

/* ---- more or fewer processes
 * ----------------------------------------------------------------------------------- */
static void drain_surplus(struct master *m)
{
    uint32_t limit_ms = m->current->conf->drain_timeout_ms;
    PROCESS_EACH(m, p)
    {
        if (!process_alive(p) || process_wanted(p) || p->state == PROCESS_DRAINING)
            continue;
        process_event(p, "serving", "draining", "not configured any more");
        if (p->role->slot_role == SLOT_WORKER)
            heir_appoint(p);
        process_drain(p, limit_ms > 0 ? limit_ms : 1); /* 0 would be no limit */
    }
}

static void on_settled(struct ev_loop *loop UNUSED, ev_timer *w, int events UNUSED)
{
    struct master *m = w->data;
    MAGIC_CHECK(m, MASTER_MAGIC);
    if (m->stop.level == STOP_NONE)
        drain_surplus(m);
}

void lifecycle_resize(struct master *m)
{
    processes_start_missing(m);
    steer_update(m);
    steer_datagrams(m, m->current->conf->workers);
    ev_timer_stop(m->loop, &m->shrink);
    ev_timer_init(&m->shrink, on_settled, STEER_SETTLE_S, 0.0);
    m->shrink.data = m;
    ev_now_update(m->loop);
    ev_timer_start(m->loop, &m->shrink);
}

static bool surplus_left(struct master *m)
{
    PROCESS_EACH(m, p)
    if (process_alive(p) && !process_wanted(p))
        return true;
    return false;
}

void lifecycle_left(struct process *p)
{
    struct master *m = p->master;
    if (m->stop.level != STOP_NONE || !m->started)
        return;
    if (process_wanted(p)) /* the program before had its place */
        processes_start_missing(m);
    if (surplus_left(m))
        return;
    listen_trim(m, m->current->conf->workers);
    steer_update(m);
    reload_progress(m);
}
