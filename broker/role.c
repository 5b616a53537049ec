/* broker/role.c: the hooks of proc/role.h, and the clock by which idle places come back. */
#include "broker/broker_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/magic.h"
#include "base/net.h"

#define SWEEP_S 0.1
#define PAUSE_S 1.0

static void on_tick(struct ev_loop *loop, ev_timer *w, int events UNUSED)
{
    struct broker *b = w->data;
    MAGIC_CHECK(b, BROKER_MAGIC);
    uint32_t held = 0;
    for (uint32_t i = 0; i < SEATS; i++)
        if (b->seats[i]) {
            held += loan_held(b->seats[i]);
            loan_sweep(b->seats[i]);
        }
    if (held == 0)
        ev_timer_stop(loop, w);
}

void broker_watch(struct broker *b)
{
    if (!ev_is_active(&b->tick))
        ev_timer_again(b->child->loop, &b->tick);
}

static void follow_conf(struct broker *b)
{
    const struct conf *conf = b->child->conf;
    memset(b->pools, 0, sizeof b->pools);
    for (uint32_t i = 0; i < conf->pool_count; i++)
        if (conf->pools[i].row < POOL_MAX)
            b->pools[conf->pools[i].row] = &conf->pools[i];
    word_set(&b->child->table->header->grant_max, conf->client_leases);
}

static int on_start(struct child *c, char *why, size_t why_cap)
{
    struct broker *b = calloc(1, sizeof *b);
    if (!b || grant_prepare(c->table) == -1) {
        snprintf(why, why_cap, "no memory for leases: %s", strerror(errno));
        free(b);
        return -1;
    }
    MAGIC_SET(b, BROKER_MAGIC);
    b->child = c;
    ev_init(&b->tick, on_tick);
    b->tick.repeat = SWEEP_S;
    ev_init(&b->pause, door_on_pause_over);
    b->pause.repeat = PAUSE_S;
    b->tick.data = b->pause.data = b;
    c->data = b;
    return 0;
}

static void on_serve(struct child *c)
{
    struct broker *b = c->data;
    follow_conf(b);
    loans_recover(b);
    if (c->listen_count == 0)
        return;
    b->looks_out = net_refuse_fds(c->listens[0].fd) == -1;
    ev_io_init(&b->accept, door_on_connect, c->listens[0].fd, EV_READ);
    b->accept.data = b;
    ev_io_start(c->loop, &b->accept);
}

static void on_go(struct child *c, const struct conf *old)
{
    follow_conf(c->data);
    child_release(c, old);
}

/* What clients hold stays theirs in the table: a successor goes on with it. */
static void on_drain(struct child *c, uint32_t deadline_ms UNUSED)
{
    struct broker *b = c->data;
    ev_io_stop(c->loop, &b->accept);
    ev_timer_stop(c->loop, &b->pause);
    ev_timer_stop(c->loop, &b->tick);
    for (uint32_t i = 0; i < SEATS; i++)
        if (b->seats[i])
            loan_end(b->seats[i], false);
    child_exit(c);
}

const struct role broker_role = {
    .name = "broker",
    .slot_role = SLOT_BROKER,
    .start = on_start,
    .serve = on_serve,
    .go = on_go,
    .drain = on_drain,
};
