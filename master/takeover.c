#include "master/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/log.h"
#include "master/adopt.h"
#include "master/guard.h"
#include "master/heir.h"
#include "master/processes.h"
#include "master/reap.h"
#include "master/rehearsal.h"
#include "master/saved.h"
#include "proc/control.h"
#include "shm/events.h"
#include "shm/entry.h"
#include "shm/pool.h"
#include "shm/slot.h"

#define SERVICES_DRAIN_MS 2000u /* admin's requests in flight */

/* ---- the table ---- */

int takeover_table(struct master *m, char *why, size_t why_cap)
{
    struct takeover *t = &m->takeover;
    if (t->rehearsal)
        return rehearsal_table(m, why, why_cap);
    if (table_adopt(&m->table, t->table_fd, why, why_cap) == 0) {
        if (t->back) /* a new program that died had perhaps made another one */
            table_bring_back();
        return 0;
    }
    log_info("upgrade: a new table is made, health and overrides are carried over: %s", why);
    m->table = (struct table){.fd = -1};
    if (table_set_aside() == -1) {
        (void)snprintf(why, why_cap, "cannot rename the old table: %s", strerror(errno));
        return -1;
    }
    t->rebuilt = true;
    return table_create(&m->table, m->current->conf->path, why, why_cap);
}

static void restore_health(struct master *m)
{
    for (const struct takeover_health *h = m->takeover.health; h != NULL; h = h->next) {
        uint32_t pool = pool_find(&m->table, h->pool);
        uint32_t entry = pool == INDEX_NONE ? INDEX_NONE : entry_find(&m->table, pool, h->name);
        if (entry != INDEX_NONE)
            (void)entry_set_health(&m->table, entry, (enum entry_health)h->health);
    }
}

static void restore_saved(struct master *m)
{
    struct arena arena;
    struct saved_record *r = NULL;
    char why[128];
    const char *text = m->takeover.saved;
    arena_init(&arena);
    if (text != NULL && saved_parse(text, strlen(text), &arena, &r, why, sizeof why) == -1)
        log_warning("upgrade: overrides are lost: %s", why);
    table_lock(&m->table);
    for (; r != NULL; r = r->next)
        if (saved_apply(&m->table, r) != NULL)
            log_warning("upgrade: not carried over: %s:%s", r->pool, r->name);
    table_unlock(&m->table);
    arena_free(&arena);
}

/* ---- the children ---- */

/* The first worker place where enough of them are free, so that old and new stand side by side. */
static uint32_t choose_base(const struct master *m)
{
    uint32_t wanted = m->current->conf->workers;
    for (uint32_t base = 0; base < WORKERS_MAX; base++) {
        uint32_t i = 0;
        while (i < wanted && m->takeover.children[(base + i) % WORKERS_MAX].pid == 0)
            i++;
        if (i == wanted)
            return base;
    }
    return 0; /* too many: some start as soon as an old one has left */
}

static void adopt_child(struct master *m, uint32_t slot)
{
    const struct takeover_child *c = &m->takeover.children[slot];
    struct process *p = &m->processes[slot];
    p->pid = c->pid;
    p->control_fd = c->control_fd;
    p->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
    if (p->pidfd == -1) { /* reaped already, or no descriptor: it drains when its channel closes */
        log_warning("upgrade: process %d cannot be watched: error=\"%s\"", (int)c->pid,
                    strerror(errno));
        (void)close(c->control_fd);
        p->control_fd = -1;
        return;
    }
    (void)snprintf(p->title, sizeof p->title, "old %s %u", p->role->name, c->index);
    p->state = PROCESS_DRAINING;
    p->elsewhere = m->takeover.rebuilt;
    processes_watch(p);
}

void takeover_children(struct master *m)
{
    processes_place_workers(m, choose_base(m));
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++)
        if (m->takeover.children[slot].pid != 0 && m->processes[slot].role != NULL)
            adopt_child(m, slot);
}

/* One that was built with other messages understands only that its channel closes: its master is
 * gone, so it finishes and leaves. */
static void drain_old(struct process *p)
{
    struct master *m = p->master;
    bool is_worker = p->role->slot_role == SLOT_WORKER;
    uint32_t limit_ms = is_worker ? m->current->conf->drain_timeout_ms : SERVICES_DRAIN_MS;
    if (m->takeover.control_bytes == sizeof(struct ctl_msg)) {
        if (is_worker)
            heir_appoint(p);
        process_drain(p, limit_ms > 0 ? limit_ms : 1);
        return;
    }
    ev_io_stop(m->loop, &p->control_io);
    outbox_close(&p->outbox);
    (void)close(p->control_fd);
    p->control_fd = -1;
}

void takeover_forget(struct master *m)
{
    struct takeover *t = &m->takeover;
    for (struct takeover_health *h; (h = t->health) != NULL;) {
        t->health = h->next;
        free(h);
    }
    if (t->rebuilt) {
        table_remove_aside();
        (void)close(t->table_fd);
    }
    if (t->old_fd != -1)
        (void)close(t->old_fd);
    free(t->saved);
    free(t->configuration);
    free(t->letter);
    free(t->fds);
    *t = (struct takeover){.table_fd = -1, .old_fd = -1, .control_bytes = t->control_bytes};
}

void takeover_done(struct master *m)
{
    struct takeover *t = &m->takeover;
    char text[96];
    guard_end();
    if (t->back)
        reap_strays(m); /* of the new program */
    if (t->rebuilt) {
        restore_saved(m);
        restore_health(m);
    }
    (void)snprintf(text, sizeof text, "generation %u%s", m->current->number,
                   t->rebuilt ? ", the table was made anew" : "");
    event_write(&m->table, INDEX_NONE, "upgrade", "ballast", t->from,
                t->back ? "failed" : "serving", t->back ? "back to the old program" : text);
    log_info("upgrade: version %s serves, before it %s", BALLAST_VERSION, t->from);
    PROCESS_EACH(m, p)
    if (p->state == PROCESS_DRAINING)
        drain_old(p);
    takeover_forget(m);
}

/* ---- back ---- */

static void kill_new(struct process *p)
{
    struct reaped how;
    struct pollfd dead = {.fd = p->pidfd, .events = POLLIN};
    process_kill(p);
    (void)poll(&dead, 1, 2000);
    (void)!reap(p->pidfd, &how);
    slot_reclaim(&p->master->table, p->slot);
    slot_set_state(&p->master->table, p->slot, SLOT_FREE);
    (void)close(p->control_fd);
    p->state = PROCESS_NONE;
    p->control_fd = -1;
}

static void undo_table(struct master *m)
{
    if (m->first_adoption.added != NULL)
        adopt_abort(m, &m->first_adoption);
    if (!m->takeover.rebuilt)
        return;
    if (m->table_made)
        table_unlink(&m->table);
    table_bring_back();
}

void takeover_failed(struct master *m, const char *why)
{
    struct takeover *t = &m->takeover;
    log_error("upgrade failed: version %s cannot serve: %s", BALLAST_VERSION, why);
    if (t->back || t->old_fd == -1)
        return;
    PROCESS_EACH(m, p)
    if (p->magic != 0 && (p->state == PROCESS_STARTING || p->state == PROCESS_READY))
        kill_new(p);
    undo_table(m);
    guard_go_back();
    log_error("upgrade: cannot go back either: error=\"%s\"", strerror(errno));
}
