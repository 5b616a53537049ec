/* worker/upool.c */
#include "worker/upool.h"

#include "worker/link.h"
#include "worker/upstream.h"

#define UPOOL_EXCESS_US                                                                            \
    1000000u /* beyond `keepalive`: long enough for a burst to take it again, so that load never   \
                reconnects */

static void unlink_idle(struct upstream *u)
{
    struct worker *w = u->worker;
    if (u->prev)
        u->prev->next = u->next;
    else
        w->idle[u->entry] = u->next;
    if (u->next)
        u->next->prev = u->prev;
    if (u->pool_prev)
        u->pool_prev->pool_next = u->pool_next;
    else
        w->idle_old[u->pool_row] = u->pool_next;
    if (u->pool_next)
        u->pool_next->pool_prev = u->pool_prev;
    else
        w->idle_new[u->pool_row] = u->pool_prev;
    w->idle_count[u->pool_row]--;
    u->prev = u->next = u->pool_prev = u->pool_next = NULL;
}

static void link_idle(struct upstream *u)
{
    struct worker *w = u->worker;
    u->prev = NULL;
    u->next = w->idle[u->entry];
    if (u->next)
        u->next->prev = u;
    w->idle[u->entry] = u;
    u->pool_next = NULL;
    u->pool_prev = w->idle_new[u->pool_row];
    if (u->pool_prev)
        u->pool_prev->pool_next = u;
    else
        w->idle_old[u->pool_row] = u;
    w->idle_new[u->pool_row] = u;
    w->idle_count[u->pool_row]++;
}

void upool_note(struct worker *w, const struct conf_pool *p)
{
    w->idle_keep[p->row] = p->keepalive;
    w->idle_ms[p->row] = p->keepalive_idle_ms;
}

void upool_drop(struct upstream *u)
{
    unlink_idle(u);
    upstream_close(u);
}

struct upstream *upool_take(struct worker *w, uint32_t entry, uint32_t incarnation, bool verify)
{
    for (struct upstream *u; (u = w->idle[entry]);) {
        if (u->incarnation != incarnation ||
            ((verify || u->doubtful) && !link_alive(u->link, u->io.fd))) {
            upool_drop(u);
            continue;
        }
        unlink_idle(u);
        return u;
    }
    return NULL;
}

static bool gone(const struct upstream *u)
{
    const struct entry *e = entry_at(u->worker->table, u->entry);
    return word_get(&e->state) != ROW_LIVE || word_get(&e->incarnation) != u->incarnation;
}

void upool_put(struct upstream *u, const struct conf_pool *p)
{
    struct worker *w = u->worker;
    if (p->keepalive == 0 || w->draining || gone(u)) {
        upstream_close(u);
        return;
    }
    upool_note(w, p);
    u->idle_since_us = w->now_us;
    u->reused = true;
    upstream_want(u, EV_READ);
    link_idle(u);
}

/* Oldest first: behind the first that stays only those can go whose backend is gone. */
static void sweep_pool(struct worker *w, uint32_t pool_row, uint64_t most_us, bool all)
{
    uint64_t idle_us = (uint64_t)w->idle_ms[pool_row] * 1000;
    if (idle_us > most_us)
        idle_us = most_us;
    for (struct upstream *u = w->idle_old[pool_row], *next; u; u = next) {
        next = u->pool_next;
        uint64_t idle = w->now_us - u->idle_since_us;
        bool excess = w->idle_count[pool_row] > w->idle_keep[pool_row] && idle >= UPOOL_EXCESS_US;
        if (excess || idle >= idle_us || (all && gone(u)))
            upool_drop(u);
        else if (!all)
            return;
    }
}

/* What idled for longer than its pool allows, or than that. */
static void sweep_all(struct worker *w, uint64_t most_us)
{
    uint32_t pools = word_get(&w->table->header->pools_high);
    uint32_t membership = word_get(&w->table->header->membership);
    bool all = membership != w->idle_seen;
    w->idle_seen = membership;
    for (uint32_t i = 0; i < pools; i++)
        if (w->idle_count[i])
            sweep_pool(w, i, most_us, all);
}

bool upool_drop_oldest(struct worker *w)
{
    uint32_t pools = word_get(&w->table->header->pools_high);
    for (uint32_t i = 0; i < pools; i++)
        if (w->idle_old[i]) {
            upool_drop(w->idle_old[i]);
            return true;
        }
    return false;
}

void upool_sweep(struct worker *w)
{
    sweep_all(w, UINT64_MAX);
}

void upool_forget_removed(struct worker *w)
{
    sweep_all(w, UINT64_MAX);
}

void upool_close_all(struct worker *w)
{
    sweep_all(w, 0);
}
