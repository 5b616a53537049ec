#include "master/stop.h"

#include "base/log.h"
#include "base/magic.h"
#include "master/listen.h"
#include "master/notify.h"
#include "master/processes.h"
#include "master/reload.h"
#include "master/upgrade.h"
#include "shm/events.h"

#define SERVICES_DRAIN_MS 2000u /* admin's requests in flight */
#define KILL_AFTER_S      2.0   /* a process that does not leave when its time is over */

static void on_kill(struct ev_loop *loop UNUSED, ev_timer *w, int events UNUSED)
{
    struct master *m = w->data;
    MAGIC_CHECK(m, MASTER_MAGIC);
    PROCESS_EACH(m, p)
    {
        if (!process_alive(p))
            continue;
        log_warning("%s (pid %d) does not leave: it is killed", p->title, (int)p->pid);
        process_kill(p);
    }
}

static void arm_kill(struct master *m, uint32_t after_ms)
{
    ev_timer_stop(m->loop, &m->stop.kill);
    ev_timer_init(&m->stop.kill, on_kill, (double)after_ms / 1000.0 + KILL_AFTER_S, KILL_AFTER_S);
    m->stop.kill.data = m;
    ev_now_update(m->loop);
    ev_timer_start(m->loop, &m->stop.kill);
}

/* Who serves nobody yet has nothing to finish. */
static void cancel_starts(struct master *m)
{
    PROCESS_EACH(m, p)
    {
        if (p->state == PROCESS_STARTING)
            process_kill(p);
        if (p->state != PROCESS_BACKOFF)
            continue;
        ev_timer_stop(m->loop, &p->timer);
        process_set_state(p, PROCESS_NONE);
    }
}

static void drain_workers(struct master *m, uint32_t limit_ms)
{
    PROCESS_EACH(m, p)
    if (process_alive(p) && p->role->slot_role == SLOT_WORKER)
        process_drain(p, limit_ms);
    if (limit_ms > 0)
        arm_kill(m, limit_ms);
}

static void drain_services(struct master *m)
{
    m->stop.services = true;
    PROCESS_EACH(m, p)
    if (process_alive(p))
        process_drain(p, SERVICES_DRAIN_MS);
    arm_kill(m, SERVICES_DRAIN_MS);
}

static void cut(struct master *m)
{
    PROCESS_EACH(m, p)
    if (process_alive(p))
        process_tell(p, CTL_STOP, 0);
    arm_kill(m, 0);
}

static void begin(struct master *m)
{
    notify_stopping(m);
    if (m->table_made && m->started)
        event_write(&m->table, INDEX_NONE, "stop", "ballast", "serving", "draining", NULL);
    reload_cancel(m, "the instance stops");
    ev_timer_stop(m->loop, &m->shrink);
    upgrade_cancel(m);
    cancel_starts(m);
}

void stop_request(struct master *m, enum stop_level level)
{
    enum stop_level before = m->stop.level;
    uint32_t limit_ms = m->current->conf->drain_timeout_ms;
    if (level == STOP_LIMITED && (before == STOP_LIMITED || limit_ms == 0))
        level = STOP_NOW;
    if (level <= before)
        return;
    m->stop.level = level;
    if (before == STOP_NONE)
        begin(m);
    if (level == STOP_NOW)
        cut(m);
    else
        drain_workers(m, level == STOP_LIMITED ? limit_ms : 0);
    if (before == STOP_NONE)
        listen_close_data(m); /* the workers take what is in their queues and close theirs */
    stop_progress(m);
}

void stop_progress(struct master *m)
{
    if (m->stop.level == STOP_NONE)
        return;
    if (!processes_alive(m, SLOT_EMPTY)) {
        ev_timer_stop(m->loop, &m->stop.kill);
        ev_break(m->loop, EVBREAK_ALL);
    } else if (!m->stop.services && m->stop.level != STOP_NOW && !processes_alive(m, SLOT_WORKER)) {
        drain_services(m);
    }
}
