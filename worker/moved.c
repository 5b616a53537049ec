/*
 * worker/moved.c: connections whose listener a reload renamed or removed. A renamed one is found
 * again by the socket that the connection came from, and goes on as if nothing had happened. Of a
 * removed one the last generation that knew it is kept: what is in flight finishes, the next
 * request is answered with Connection: close, tunnels get drain_timeout.
 */
#include "worker/conn.h"
#include "worker/h2.h"
#include "worker/worker_int.h"

/* By its socket, else (the listener only changed its address) by its name. */
static const struct conf_listener *find_now(const struct worker *w, const struct conn *c)
{
    const struct conf_listener *same = w->gen->by_row[c->listener_row];
    for (uint32_t i = 0; same && i < same->bind_count; i++)
        if (same->binds[i].id == c->bind_id)
            return same;
    const struct conf_listener *moved = conf_listener_of_bind(w->gen->conf, c->bind_id);
    return moved ? moved : same;
}

static void rename_to(struct conn *c, uint32_t row)
{
    if (row == c->listener_row)
        return;
    count_sub(&worker_lcell(c->worker, c->listener_row)->active, 1);
    count_add(&worker_lcell(c->worker, row)->active, 1);
    listener_client_move(c->worker->table, c->listener_row, row, c->worker->slot);
    c->listener_row = row;
}

static void stay_behind(struct conn *c, struct gen *before)
{
    c->gen = before;
    gen_ref(before);
    c->worker->moved_count++;
    c->draining = true;
    if (c->state == CONN_IDLE)
        conn_deadline(c, DRAIN_IDLE_MS);
    else if (c->state == CONN_H2)
        h2_drain(c);
}

void moved_follow(struct worker *w, struct gen *before)
{
    uint32_t limit_ms = w->gen->conf->drain_timeout_ms;
    before->cut_us = w->now_us + (uint64_t)limit_ms * 1000;
    for (struct conn *c = w->conns; c; c = c->next) {
        const struct conf_listener *now = c->gen ? NULL : find_now(w, c);
        if (c->gen)
            continue;
        if (now && now->protocol == (enum conf_protocol)c->protocol)
            rename_to(c, now->row);
        else
            stay_behind(c, before);
    }
}

static void cut_tunnel(struct conn *c)
{
    if (c->txn && c->txn->state == TXN_TUNNEL)
        conn_close(c, "listener removed");
}

void moved_sweep(struct worker *w)
{
    if (w->moved_count == 0)
        return;
    for (struct conn *c = w->conns, *next; c; c = next) {
        next = c->next;
        if (!c->gen || w->now_us < c->gen->cut_us)
            continue;
        if (c->state == CONN_H2)
            h2_each(c, cut_tunnel);
        else
            cut_tunnel(c);
    }
}
