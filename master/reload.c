#include "master/reload.h"

#include <errno.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "master/access_logs.h"
#include "master/adopt.h"
#include "master/answer.h"
#include "master/effective.h"
#include "master/generation.h"
#include "master/lifecycle.h"
#include "master/listen.h"
#include "master/logs.h"
#include "master/notify.h"
#include "master/offer.h"
#include "master/processes.h"
#include "master/reading.h"
#include "master/saved.h"
#include "master/upgrade.h"
#include "shm/count.h"
#include "shm/slot.h"

#define STUCK_US 5000000u /* ten heartbeats */

static void begin(struct master *m);

/* ---- the end of a reload, either way
 * ------------------------------------------------------------------------ */
static void next_one(struct master *m, bool adopted)
{
    struct reload *r = &m->reload;
    upgrade_reloaded(m, adopted);
    bool again = r->again;
    r->answer_admin = r->answer_admin_next;
    r->again = r->answer_admin_next = false;
    if (again && m->stop.level == STOP_NONE)
        begin(m);
}

static void fail(struct master *m, const struct conf_errors *errors)
{
    struct reload *r = &m->reload;
    ev_timer_stop(m->loop, &r->deadline);
    PROCESS_EACH(m, p)
    offer_withdraw(p);
    listen_abort(m);
    struct generation *next = r->next;
    r->next = NULL;
    if (next != NULL) {
        generation_forget(m, next);
        adopt_abort(m, &r->adoption);
    }
    arena_free(&r->arena);
    answer_failed(m, errors, r->answer_admin);
    if (m->stop.level == STOP_NONE)
        notify_ready(m);
    next_one(m, false);
}

static void fail_because(struct master *m, const char *text)
{
    struct arena arena;
    struct conf_errors errors;
    arena_init(&arena);
    conf_errors_init(&errors, &arena);
    conf_errors_add(&errors, (struct conf_pos){0}, "%s", text);
    fail(m, &errors);
    arena_free(&arena);
}

/* A process whose heart has not beaten for so long serves nobody either: a successor will. */
static void replace_if_stuck(struct process *p)
{
    if (slot_heartbeat_age_us(&p->master->table, p->slot, clock_mono_us()) < STUCK_US)
        return;
    log_error("%s (pid %d) is stuck: it is killed", p->title, (int)p->pid);
    process_kill(p);
}

static void on_deadline(struct ev_loop *loop UNUSED, ev_timer *w, int events UNUSED)
{
    struct master *m = w->data;
    MAGIC_CHECK(m, MASTER_MAGIC);
    char text[128] = "";
    PROCESS_EACH(m, p)
    {
        if (p->state != PROCESS_OFFERED && p->state != PROCESS_STARTING)
            continue;
        (void)snprintf(text, sizeof text, "%s did not get ready for it within %.0f s", p->title,
                       READY_DEADLINE_S);
        if (p->state == PROCESS_OFFERED)
            replace_if_stuck(p);
    }
    fail_because(m, text);
}

/* ---- may it be adopted by running processes?
 * ---------------------------------------------------------------- */
static bool still_draining(const struct process *p, const struct conf *next)
{
    return p->state == PROCESS_DRAINING &&
           (p->role->slot_role != SLOT_WORKER || p->index < next->workers);
}

static void check_adoptable(struct master *m, const struct conf *next, struct conf_errors *errors)
{
    const struct plan *plan = &m->reload.plan;
    for (uint32_t i = 0; i < plan->refusal_count; i++)
        conf_errors_add(errors, (struct conf_pos){0}, "%s", plan->refusals[i]);
    PROCESS_EACH(m, p)
    if (still_draining(p, next))
        conf_errors_add(
            errors, (struct conf_pos){0},
            "%s still finishes what it had in flight when it was taken out: reload again "
            "when it has left",
            p->title);
    if (logs_check(m, next, errors) == -1)
        log_debug("the new log target cannot be used");
}

/* ---- the beginning
 * ------------------------------------------------------------------------------------------- */
static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static int seal(struct generation *g, struct conf_errors *errors)
{
    if (generation_seal(g) == 0)
        return 0;
    conf_errors_add(errors, (struct conf_pos){0}, "cannot seal the configuration: %s",
                    strerror(errno));
    return -1;
}

/* A surplus worker adopts the generation too before it drains, so it needs sockets as the others
 * do. */
static int prepare(struct master *m, struct generation *g, struct conf_errors *errors)
{
    m->reload.plan = plan_make(&m->table, m->current->conf, g->conf, &m->reload.arena);
    check_adoptable(m, g->conf, errors);
    uint32_t workers = larger(g->conf->workers, m->current->conf->workers);
    if (errors->count > 0 || listen_prepare(m, g->conf, workers, errors) == -1 ||
        access_logs_prepare(m, g->conf, errors) == -1 ||
        adopt_prepare(m, g->conf, &m->reload.adoption, errors) == -1)
        return -1;
    return seal(g, errors);
}

static void offer_all(struct master *m)
{
    struct reload *r = &m->reload;
    ev_timer_init(&r->deadline, on_deadline, READY_DEADLINE_S, 0.0);
    r->deadline.data = m;
    ev_now_update(m->loop);
    ev_timer_start(m->loop, &r->deadline);
    PROCESS_EACH(m, p)
    if (p->state == PROCESS_SERVING)
        offer_send(p, r->next);
    reload_progress(m); /* nobody may be there to answer */
}

static void on_read(struct master *m, struct generation *g, struct conf_errors *errors)
{
    m->reload.next = g;
    if (g == NULL || prepare(m, g, errors) == -1)
        fail(m, errors);
    else
        offer_all(m);
}

static void begin(struct master *m)
{
    struct arena arena;
    struct conf_errors errors;
    arena_init(&arena);
    conf_errors_init(&errors, &arena);
    notify_reloading(m);
    arena_init(&m->reload.arena);
    m->reload.begun_us = clock_mono_us();
    if (reading_begin(m, on_read, &errors) == -1)
        fail(m, &errors);
    arena_free(&arena);
}

bool reload_runs(const struct master *m)
{
    return reading_runs(m) || m->reload.next != NULL;
}

void reload_request(struct master *m, bool from_admin)
{
    struct reload *r = &m->reload;
    if (m->stop.level != STOP_NONE || !m->started) {
        log_info("no reload now: the instance %s", m->started ? "stops" : "starts");
        return;
    }
    if (reload_runs(m)) {
        r->again = true;
        r->answer_admin_next |= from_admin;
        return;
    }
    r->answer_admin = from_admin;
    begin(m);
}

/* ---- GO
 * ----------------------------------------------------------------------------------------------------
 */
static void commit(struct master *m, struct generation *next)
{
    struct reload *r = &m->reload;
    const struct conf *old = m->current->conf;
    m->current = next;
    r->next = NULL;
    adopt_commit(m, next->conf, &r->adoption);
    listen_commit(m);
    word_set(&m->table.header->generation, next->number);
    effective_publish(m);
    PROCESS_EACH(m, p)
    if (p->state == PROCESS_ADOPTED)
        offer_commit(p);
    logs_follow(m, old);
    answer_changed(m, &r->plan, r->answer_admin);
    saved_soon(m);
    arena_free(&r->arena);
    notify_ready(m);
    lifecycle_resize(m);
    if (generation_collect(m))
        adopt_sweep(m);
    next_one(m, true);
}

static bool all_ready(const struct master *m)
{
    for (uint32_t i = 0; i < SLOT_MAX; i++) {
        enum process_state s = m->processes[i].state;
        if (s == PROCESS_OFFERED || s == PROCESS_SERVING || s == PROCESS_STARTING ||
            s == PROCESS_READY)
            return false;
    }
    return true;
}

void reload_progress(struct master *m)
{
    struct reload *r = &m->reload;
    if (r->next == NULL || !all_ready(m))
        return;
    struct arena arena;
    struct conf_errors errors;
    arena_init(&arena);
    conf_errors_init(&errors, &arena);
    ev_timer_stop(m->loop, &r->deadline);
    if (listen_arm(m, &errors) == -1)
        fail(m, &errors);
    else
        commit(m, r->next);
    arena_free(&arena);
}

/* ---- answers
 * -----------------------------------------------------------------------------------------------
 */
void reload_ready(struct process *p, const struct ctl_msg *msg)
{
    struct master *m = p->master;
    if (m->reload.next == NULL || msg->generation != m->reload.next->number)
        return; /* about an offer that was withdrawn meanwhile */
    process_set_state(p, PROCESS_ADOPTED);
    reload_progress(m);
}

void reload_refused(struct process *p, const struct ctl_msg *msg)
{
    struct master *m = p->master;
    if (m->reload.next == NULL || msg->generation != m->reload.next->number)
        return;
    char text[CTL_TEXT + 64];
    (void)snprintf(text, sizeof text, "%s refused it: %s", p->title, msg->text);
    process_set_state(p, PROCESS_SERVING); /* it forgot the offer by itself */
    generation_drop(m, msg->generation, p->slot);
    fail_because(m, text);
}

void reload_joined(struct process *p)
{
    if (p->master->reload.next != NULL)
        offer_send(p, p->master->reload.next);
}

void reload_lost(struct process *p, const char *how)
{
    char text[256];
    (void)snprintf(text, sizeof text, "%s died while it prepared for it: %s", p->title, how);
    if (p->master->reload.next != NULL)
        fail_because(p->master, text);
}

void reload_cancel(struct master *m, const char *why)
{
    m->reload.again = false;
    if (!reload_runs(m))
        return;
    reading_cancel(m);
    fail_because(m, why);
}
