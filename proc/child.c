/*
 * proc/child.c: the child side of the life cycle: what a process does with the master's messages,
 * whatever its role. A generation is offered (mapped, built beside the old one by the role), then
 * adopted at GO or forgotten at ABORT. One child per process.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "proc/bundle.h"
#include "proc/child_listens.h"
#include "proc/child_logs.h"
#include "proc/control.h"
#include "proc/outbox.h"
#include "proc/role.h"

#define LIFE_MAGIC  0x11FE11FEu
#define HEARTBEAT_S 0.5

struct life {
    uint32_t magic;
    struct child *child;
    ev_io control;
    ev_timer heartbeat, deadline;
    struct outbox outbox;
    const struct conf *offered; /* mapped, not adopted */
    struct child_listens fresh; /* sockets that came with the offer */
    uint32_t offered_generation;
    bool serving, debug, leaving;
};

static struct life life;

/* ---- talking
 * -----------------------------------------------------------------------------------------------
 */
static int say(uint32_t type, uint32_t generation, uint32_t number, const char *text)
{
    struct ctl_msg m = {.type = type, .generation = generation, .number = number};
    (void)snprintf(m.text, sizeof m.text, "%s", text);
    return outbox_send(&life.outbox, &m, NULL);
}

static void must_say(uint32_t type, uint32_t generation, const char *text)
{
    if (say(type, generation, 0, text) == -1) /* a dead master is noticed as end of file */
        log_debug("cannot tell the master: message=%s error=\"%s\"", ctl_type_name(type),
                  strerror(errno));
}

int child_ask(struct child *c, uint32_t type, uint32_t number, const char *text)
{
    return say(type, c->conf->generation, number, text == NULL ? "" : text);
}

/* ---- leaving
 * -----------------------------------------------------------------------------------------------
 */
void child_exit(struct child *c)
{
    life.leaving = true;
    ev_break(c->loop, EVBREAK_ALL);
}

static void on_deadline(struct ev_loop *loop UNUSED, ev_timer *w, int events UNUSED)
{
    struct life *l = w->data;
    MAGIC_CHECK(l, LIFE_MAGIC);
    log_warning("the drain limit has passed: what is still in flight is cut");
    child_exit(l->child);
}

static void arm_deadline(struct life *l, uint32_t deadline_ms)
{
    ev_timer_stop(l->child->loop, &l->deadline);
    if (deadline_ms == 0)
        return;
    ev_now_update(l->child->loop);
    ev_timer_set(&l->deadline, (double)deadline_ms / 1000.0, 0.0);
    ev_timer_start(l->child->loop, &l->deadline);
}

static void drain(struct life *l, uint32_t deadline_ms)
{
    struct child *c = l->child;
    if (!l->serving) {
        child_exit(c);
        return;
    }
    c->draining = true;
    arm_deadline(l, deadline_ms);
    c->role->drain(c, deadline_ms);
    child_listens_close(c);
}

/* ---- a generation is offered
 * ------------------------------------------------------------------------------- */
static void forget_offer(struct life *l)
{
    if (l->offered != NULL)
        bundle_unmap(l->offered);
    l->offered = NULL;
    child_listens_clear(&l->fresh);
}

static void take_offer(struct life *l, const struct ctl_msg *m, const int *fds)
{
    forget_offer(l);
    l->offered_generation = m->generation;
    if (m->fd_count != 1) {
        ctl_close_fds(fds, m->fd_count);
        return;
    }
    l->offered = bundle_map(fds[0], m->address, m->len_bytes, m->root);
    if (l->offered == NULL)
        log_error("cannot map the offered configuration: generation=%u error=\"%s\"", m->generation,
                  strerror(errno));
}

static void take_listens(struct life *l, const struct ctl_msg *m, const int *fds)
{
    for (uint32_t i = 0; i < m->fd_count; i++)
        if (child_listens_add(&l->fresh, m->ids[i], fds[i]) == -1) {
            (void)close(fds[i]);
            forget_offer(l); /* it lacks a socket: refused at its end */
        }
}

static int build(struct life *l, char *why, size_t why_cap)
{
    if (l->offered == NULL) {
        (void)snprintf(why, why_cap, "cannot map the configuration");
        return -1;
    }
    if (child_listens_room(l->child, &l->fresh) == -1) {
        (void)snprintf(why, why_cap, "out of memory");
        return -1;
    }
    const struct role *role = l->child->role;
    return role->offer == NULL ? 0 : role->offer(l->child, l->offered, why, why_cap);
}

static void end_offer(struct life *l)
{
    char why[512] = "refused without a reason";
    if (build(l, why, sizeof why) == 0) {
        must_say(CTL_READY, l->offered_generation, "");
        return;
    }
    forget_offer(l);
    must_say(CTL_REFUSED, l->offered_generation, why);
}

static void apply_log_level(const struct life *l)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    for (uint32_t i = 0; i < ARRAY_LEN(names) && !l->debug; i++)
        if (strcmp(l->child->conf->log.level, names[i]) == 0)
            log_set_level((enum log_level)i);
}

/* A file is opened by the master, which sends the descriptor (REOPEN); the other targets need no
 * privileges. */
static void apply_log_target(const struct conf *old, const struct conf *now)
{
    if (strcmp(old->log.target, now->log.target) != 0 && now->log.target[0] != '/' &&
        log_open(now->log.target, log_get_level()) == -1)
        log_warning("cannot log to %s: %s", now->log.target, strerror(errno));
}

static void note_generation(const struct child *c)
{
    word_set(&c->table->slots[c->slot].generation, c->conf->generation);
}

static void adopt(struct life *l)
{
    struct child *c = l->child;
    const struct conf *old = c->conf;
    c->conf = l->offered;
    l->offered = NULL;
    child_listens_merge(c, &l->fresh);
    apply_log_level(l);
    apply_log_target(old, c->conf);
    note_generation(c);
    if (c->role->go != NULL)
        c->role->go(c, old);
    else
        child_release(c, old);
}

static void go(struct life *l)
{
    if (!l->serving) {
        l->serving = true;
        note_generation(l->child);
        if (l->child->role->serve != NULL)
            l->child->role->serve(l->child);
    } else if (l->offered != NULL) {
        adopt(l);
    }
}

static void abandon(struct life *l)
{
    if (l->offered == NULL)
        return;
    if (l->child->role->abort != NULL)
        l->child->role->abort(l->child, l->offered);
    forget_offer(l);
}

void child_release(struct child *c UNUSED, const struct conf *old)
{
    uint32_t generation = old->generation;
    bundle_unmap(old);
    must_say(CTL_RELEASED, generation, "");
}

/* ---- the master's messages
 * --------------------------------------------------------------------------------- */
static void reopen(struct life *l, const struct ctl_msg *m, const int *fds)
{
    if (m->fd_count == 1)
        log_set_fd(fds[0]);
    else
        ctl_close_fds(fds, m->fd_count);
    if (l->child->role->reopen != NULL)
        l->child->role->reopen(l->child);
}

static void take_queues(const struct life *l, const struct ctl_msg *m, const int *fds)
{
    for (uint32_t i = 0; i < m->fd_count && l->serving && l->child->role->queue != NULL; i++)
        l->child->role->queue(l->child, m->ids[i], fds[i]);
    ctl_close_fds(fds, m->fd_count);
}

static void pass_to_role(struct life *l, const struct ctl_msg *m, const int *fds)
{
    if (l->child->role->message != NULL)
        l->child->role->message(l->child, m->type, m->number, m->text,
                                m->fd_count > 0 ? fds[0] : -1);
    ctl_close_fds(fds, m->fd_count);
}

static void without_fds(struct life *l, const struct ctl_msg *m)
{
    switch (m->type) {
    case CTL_OFFER_END: end_offer(l); break;
    case CTL_GO: go(l); break;
    case CTL_ABORT: abandon(l); break;
    case CTL_DRAIN: drain(l, m->number); break;
    case CTL_STOP: child_exit(l->child); break;
    default: log_warning("unexpected message from the master: type=%u", m->type); break;
    }
}

static void dispatch(struct life *l, const struct ctl_msg *m, const int *fds)
{
    switch (m->type) {
    case CTL_OFFER: take_offer(l, m, fds); break;
    case CTL_LISTEN: take_listens(l, m, fds); break;
    case CTL_REOPEN: reopen(l, m, fds); break;
    case CTL_QUEUE: take_queues(l, m, fds); break;
    case CTL_HANDOVER:
    case CTL_HEIR:
    case CTL_RELOADED:
    case CTL_RELOADS: pass_to_role(l, m, fds); break;
    case CTL_LOGS: child_logs_take(m, fds); break;
    default:
        ctl_close_fds(fds, m->fd_count);
        without_fds(l, m);
        break;
    }
}

static void on_master_death(struct life *l)
{
    ev_io_stop(l->child->loop, &l->control);
    outbox_close(&l->outbox);
    l->child->orphaned = true;
    log_error("the master is dead: finishing what is in flight, then leaving");
    uint32_t limit_ms = l->child->conf->drain_timeout_ms;
    if (limit_ms == 0)
        child_exit(l->child);
    else if (!l->child->draining)
        drain(l, limit_ms);
    else if (!ev_is_active(
                 &l->deadline)) /* drained without a limit, which nobody could set any more */
        arm_deadline(l, limit_ms);
}

static void on_control(struct ev_loop *loop UNUSED, ev_io *w, int events UNUSED)
{
    struct life *l = w->data;
    MAGIC_CHECK(l, LIFE_MAGIC);
    while (!l->leaving) {
        struct ctl_msg m;
        int fds[CTL_FDS];
        int got = ctl_recv(w->fd, &m, fds);
        if (got == 1) {
            dispatch(l, &m, fds);
            continue;
        }
        if (got == 0)
            on_master_death(l);
        else if (errno != EAGAIN)
            log_warning("cannot read from the master: error=\"%s\"", strerror(errno));
        return;
    }
}

static void on_heartbeat(struct ev_loop *loop UNUSED, ev_timer *w, int events UNUSED)
{
    struct life *l = w->data;
    MAGIC_CHECK(l, LIFE_MAGIC);
    slot_heartbeat(l->child->table, l->child->slot, clock_mono_us());
}

static void begin(struct child *c, int control_fd, bool debug)
{
    life = (struct life){.child = c, .debug = debug};
    MAGIC_SET(&life, LIFE_MAGIC);
    outbox_init(&life.outbox, c->loop, control_fd);
    ev_io_init(&life.control, on_control, control_fd, EV_READ);
    ev_timer_init(&life.heartbeat, on_heartbeat, 0.0, HEARTBEAT_S);
    ev_timer_init(&life.deadline, on_deadline, 0.0, 0.0);
    life.control.data = life.heartbeat.data = life.deadline.data = &life;
    ev_io_start(c->loop, &life.control);
    ev_timer_start(c->loop, &life.heartbeat);
}

/* It has what it needs. A kernel that cannot is no reason not to serve. */
static void confine(const struct child *c)
{
    int version = c->conf->sandbox ? sandbox_enter(c->role->sandbox) : 0;
    if (version == -1)
        log_warning("no sandbox: the kernel has Landlock, but refuses: %s", strerror(errno));
    else if (version == 0)
        log_debug("no sandbox");
    else
        log_debug("in its sandbox: %s (Landlock %d)",
                  c->role->sandbox == SANDBOX_NO_FILES ? "no files" : "files to read", version);
}

void child_main(struct child *c, int control_fd, bool debug)
{
    char why[512] = "failed without a reason";
    begin(c, control_fd, debug);
    if (c->role->start(c, why, sizeof why) == -1) {
        must_say(CTL_REFUSED, c->conf->generation, why);
        exit(1);
    }
    confine(c);
    must_say(CTL_READY, c->conf->generation, "");
    ev_run(c->loop, 0);
    if (c->role->leave != NULL)
        c->role->leave(c);
    exit(0);
}
