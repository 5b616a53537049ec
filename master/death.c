#include "master/death.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "master/generation.h"
#include "master/lifecycle.h"
#include "master/messages.h"
#include "master/offer.h"
#include "master/processes.h"
#include "master/reap.h"
#include "master/reload.h"
#include "master/saved.h"
#include "master/steer.h"
#include "master/stop.h"
#include "shm/slot.h"

#define EARLY_US         1000000u /* died younger than this: died young */
#define BACKOFF_FIRST_MS 50u
#define BACKOFF_MAX_MS   10000u

static uint32_t backoff_ms(uint32_t early_deaths)
{
    uint32_t ms = early_deaths < 2 ? 0 : BACKOFF_FIRST_MS;
    for (uint32_t i = 2; i < early_deaths && ms < BACKOFF_MAX_MS; i++)
        ms *= 2;
    return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

static void let_go(struct process *p)
{
    struct master *m = p->master;
    ev_io_stop(m->loop, &p->control_io);
    ev_io_stop(m->loop, &p->pid_io);
    ev_timer_stop(m->loop, &p->timer);
    outbox_close(&p->outbox);
    (void)close(p->control_fd);
    (void)close(p->pidfd);
    p->control_fd = p->pidfd = -1;
    slot_reclaim(&m->table, p->slot);
    generation_drop(m, 0, p->slot);
}

static void replace(struct process *p)
{
    struct master *m = p->master;
    bool early = clock_mono_us() - p->started_us < EARLY_US;
    p->early_deaths = early ? p->early_deaths + 1 : 0;
    if (p->role->slot_role == SLOT_WORKER)
        count_add(&m->table.header->restarts, 1);
    count_add(&m->table.slots[p->slot].restarts, 1);
    uint32_t ms = backoff_ms(p->early_deaths);
    if (ms == 0) {
        process_set_state(p, PROCESS_NONE);
        processes_start_missing(m);
        return;
    }
    log_warning("%s keeps dying young (%u times): the next one starts in %u ms", p->title,
                p->early_deaths, ms);
    process_set_state(p, PROCESS_BACKOFF);
    ev_now_update(m->loop);
    ev_timer_set(&p->timer, (double)ms / 1000.0, 0.0);
    ev_timer_start(m->loop, &p->timer);
}

/* What it did last, in the order of the worker's enum txn_state. */
static void add_last_step(const struct process *p, char *text, size_t cap)
{
    static const char *const steps[] = {"began a request", "waited",         "connected",
                                        "an exchange",     "began a tunnel", "an own answer",
                                        "ended a request"};
    const struct table *t = &p->master->table;
    uint64_t crumb = count_get(&t->slots[p->slot].breadcrumb);
    uint32_t step = (uint32_t)(crumb >> 32) - 1, entry = (uint32_t)crumb;
    size_t len = strlen(text);
    if (crumb == 0 || step >= ARRAY_LEN(steps))
        return;
    (void)snprintf(text + len, cap - len, "; its last step: %s%s%s", steps[step],
                   entry < ENTRY_MAX ? " with " : "",
                   entry < ENTRY_MAX ? t->entries[entry].name : "");
}

static void crashed(struct process *p, enum process_state state, const char *died_how)
{
    struct master *m = p->master;
    char how[256];
    (void)snprintf(how, sizeof how, "%s", died_how);
    add_last_step(p, how, sizeof how);
    log_warning("%s (pid %d) died: %s", p->title, (int)p->pid, how);
    process_event(p, state == PROCESS_STARTING ? "starting" : "serving", "dead", how);
    process_set_state(p, PROCESS_NONE);
    if (p->role->slot_role == SLOT_ADMIN)
        saved_soon(m); /* it may have changed something and died before it said so */
    if (state == PROCESS_OFFERED)
        reload_lost(p, how);
    replace(p);
    steer_update(m);
    if (p->state == PROCESS_BACKOFF && p->role->slot_role == SLOT_WORKER)
        offer_queues(m, p);
    reload_progress(m);
}

static void died(struct process *p, const char *how)
{
    enum process_state state = p->state;
    struct master *m = p->master;
    if (m->stop.level != STOP_NONE || state == PROCESS_DRAINING) {
        log_info("%s (pid %d) left: %s", p->title, (int)p->pid, how);
        process_set_state(p, PROCESS_NONE);
        lifecycle_left(p);
        stop_progress(m);
    } else if (!m->started) {
        process_set_state(p, PROCESS_NONE);
        lifecycle_start_failed(p, how);
    } else {
        crashed(p, state, how);
    }
}

void death_reap(struct process *p)
{
    struct reaped how;
    int result = reap(p->pidfd, &how);
    if (result == 0)
        return;
    if (result == -1)
        (void)snprintf(how.text, sizeof how.text, "unknown: %s", strerror(errno));
    messages_read(p); /* what it said last: why it cannot start */
    let_go(p);
    died(p, how.text);
}

void death_unborn(struct process *p, const char *error)
{
    struct master *m = p->master;
    if (!m->started) {
        lifecycle_start_failed(p, error);
        return;
    }
    log_error("cannot start %s: %s", p->title, error);
    replace(p);
}
