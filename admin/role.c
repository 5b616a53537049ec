/* The admin role: the hooks of proc/role.h, and what the process does once a second. */
#include "admin/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include "admin/page.h"
#include "admin/rate.h"
#include "admin/reload.h"
#include "admin/server.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "proc/control.h"
#include "shm/entry.h"

#define ADMIN_MAGIC 0xAD319999u

struct admin {
    uint32_t magic;
    struct child *child;
    struct api api;
    struct reload reload;
    struct server server;
    ev_timer second;
};

static void on_second(struct ev_loop *loop, ev_timer *w, int events)
{
    struct admin *a = w->data;
    MAGIC_CHECK(a, ADMIN_MAGIC);
    (void)loop;
    (void)events;
    rate_tick(a->api.rate, a->child->table, clock_mono_us());
    entry_sweep(a->child->table);
}

static int ask_master(void *arg)
{
    struct admin *a = arg;
    MAGIC_CHECK(a, ADMIN_MAGIC);
    return child_ask(a->child, CTL_RELOAD, 0, "");
}

static void on_changed(void *arg)
{
    struct admin *a = arg;
    MAGIC_CHECK(a, ADMIN_MAGIC);
    if (child_ask(a->child, CTL_CHANGED, 0, "") == -1)
        log_warning("admin: cannot tell the master to save the change");
}

static int ask_upgrade(void *arg)
{
    struct admin *a = arg;
    MAGIC_CHECK(a, ADMIN_MAGIC);
    return child_ask(a->child, CTL_UPGRADE, 0, "");
}

static int on_start(struct child *c, char *why, size_t why_cap)
{
    struct admin *a = calloc(1, sizeof(*a));
    struct rate *rate = rate_new();
    if (!a || !rate) {
        snprintf(why, why_cap, "out of memory");
        free(a);
        rate_free(rate);
        return -1;
    }
    MAGIC_SET(a, ADMIN_MAGIC);
    a->child = c;
    a->reload = (struct reload){.ask = ask_master, .arg = a};
    a->api = (struct api){.table = c->table,
                          .conf = c->conf,
                          .slot = c->slot,
                          .rate = rate,
                          .reload = &a->reload,
                          .changed = on_changed,
                          .upgrade = ask_upgrade,
                          .changed_arg = a};
    server_init(&a->server, c->loop, &a->api);
    ev_timer_init(&a->second, on_second, 0., 1.);
    a->second.data = a;
    page_prepare();
    c->data = a;
    return 0;
}

static void on_serve(struct child *c)
{
    struct admin *a = c->data;
    ev_timer_start(c->loop, &a->second);
    if (server_listen(&a->server, c) != 0)
        log_error("admin: out of memory, not listening");
}

static void on_go(struct child *c, const struct conf *old)
{
    struct admin *a = c->data;
    a->api.conf = c->conf; /* no request keeps a reference to the old one */
    if (server_listen(&a->server, c) != 0)
        log_error("admin: out of memory, not listening");
    child_listens_prune(c);
    child_release(c, old);
}

static void on_empty(void *arg)
{
    struct admin *a = arg;
    MAGIC_CHECK(a, ADMIN_MAGIC);
    child_exit(a->child);
}

static void on_drain(struct child *c, uint32_t deadline_ms)
{
    struct admin *a = c->data;
    (void)deadline_ms; /* proc ends us when it is over */
    a->api.draining = true;
    ev_timer_stop(c->loop, &a->second);
    server_drain(&a->server, on_empty, a);
}

static void on_message(struct child *c, uint32_t type, uint32_t number, const char *text, int fd)
{
    struct admin *a = c->data;
    uint32_t round, lost;
    if (type == CTL_RELOADS) {
        free(a->api.reloads);
        a->api.reloads = reload_text(text, fd);
    }
    if (type != CTL_RELOADED)
        return;
    char *said = reload_text(text, fd);
    if (reload_end(&a->reload, &round, &lost))
        server_reloaded(&a->server, round, number, said ? said : "");
    if (lost)
        server_reload_lost(&a->server, lost);
    free(said);
}

const struct role admin_role = {
    .name = "admin",
    .slot_role = SLOT_ADMIN,
    .start = on_start,
    .serve = on_serve,
    .go = on_go,
    .drain = on_drain,
    .message = on_message,
};
