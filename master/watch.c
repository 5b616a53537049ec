#include "master/watch.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "master/processes.h"
#include "shm/count.h"

#define TICK_S      0.5
#define TICK_MAX_MS 1500u /* a later tick: this process, or all of the machine, stood still */
#define REPORT_MS   3000u

void watch_forget(struct process *p)
{
    p->beat_us = 0;
    p->silent_ms = 0;
    p->stuck = false;
}

/* Should its heart beat? Whoever starts has a deadline of its own. */
static bool is_watched(const struct process *p)
{
    if (p->elsewhere)
        return false;
    return p->state == PROCESS_SERVING || p->state == PROCESS_OFFERED ||
           p->state == PROCESS_ADOPTED || p->state == PROCESS_DRAINING;
}

/* Half the time to its end, but at most three seconds. */
static uint32_t report_after_ms(const struct master *m)
{
    uint32_t limit_ms = m->current->conf->watchdog_ms;
    return limit_ms / 2 < REPORT_MS ? limit_ms / 2 : REPORT_MS;
}

static void report(struct process *p)
{
    char text[64];
    (void)snprintf(text, sizeof text, "no heartbeat for %.1f s", p->silent_ms / 1000.0);
    log_warning("%s (pid %d) does not move: %s", p->title, (int)p->pid, text);
    process_event(p, "serving", "stuck", text);
    p->stuck = true;
}

static void recover(struct process *p)
{
    log_warning("%s (pid %d) moves again", p->title, (int)p->pid);
    process_event(p, "stuck", "serving", "its heart beats again");
    p->stuck = false;
}

static void replace(struct process *p)
{
    log_error("%s (pid %d) has not moved for %.1f s: it is killed", p->title, (int)p->pid,
              p->silent_ms / 1000.0);
    count_add(&p->master->table.header->watchdog_kills, 1);
    process_kill(p);
    p->silent_ms = 0; /* it is told once; its death follows */
}

static void look_at(struct process *p, uint32_t elapsed_ms)
{
    const struct master *m = p->master;
    uint64_t beat_us = count_get(&m->table.slots[p->slot].heartbeat_us);
    if (beat_us != p->beat_us) {
        p->beat_us = beat_us;
        p->silent_ms = 0;
        if (p->stuck)
            recover(p);
        return;
    }
    p->silent_ms += elapsed_ms;
    if (!p->stuck && p->silent_ms >= report_after_ms(m))
        report(p);
    if (p->silent_ms >= m->current->conf->watchdog_ms)
        replace(p);
}

static void on_tick(struct ev_loop *loop UNUSED, ev_timer *w, int events UNUSED)
{
    struct master *m = w->data;
    MAGIC_CHECK(m, MASTER_MAGIC);
    uint64_t now_us = clock_mono_us(), elapsed_ms = (now_us - m->watched_us) / 1000;
    m->watched_us = now_us;
    if (elapsed_ms > TICK_MAX_MS)
        return;
    PROCESS_EACH(m, p)
    if (is_watched(p))
        look_at(p, (uint32_t)elapsed_ms);
}

void watch_start(struct master *m)
{
    m->watched_us = clock_mono_us();
    ev_timer_init(&m->watch, on_tick, TICK_S, TICK_S);
    m->watch.data = m;
    ev_timer_start(m->loop, &m->watch);
}

void watch_stop(struct master *m)
{
    ev_timer_stop(m->loop, &m->watch);
}
