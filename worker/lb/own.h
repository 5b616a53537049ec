/*
 * worker/lb/own.h: what somebody who only reads the table (the client library) knows beside it: the
 * requests it has in flight itself, which backends failed it, how fast they answered it. A view
 * with such knowledge chooses by both, with the algorithms of this folder. A worker has none: all
 * it knows is in the table.
 *
 * Private to its owner, who has it to himself while he asks; the rows, one per entry index, may
 * serve all his views.
 */
#ifndef BALLAST_WORKER_LB_OWN_H
#define BALLAST_WORKER_LB_OWN_H

#include "shm/purse.h"
#include "shm/reader.h"
#include "worker/lb/lb.h"

struct lb_own_row {
    uint32_t incarnation; /* whom the rest is about */
    uint32_t inflight;
    uint32_t leased; /* of those: for which a place was lent */
    uint32_t fails;  /* in a row */
    uint64_t out_until_us;
    double turn;    /* where in the line of equals it stands */
    atom64 latency; /* as entry.latency */
};

struct lb_own {
    struct lb_own_row *rows;    /* ENTRY_MAX */
    struct purse *const *purse; /* its places that the table counts already; to NULL: none */
    uint64_t now_us;            /* as of the last refresh */
    uint64_t next_us;           /* something changes by itself then; 0: nothing does */
    double turn;                /* where the line is */
    uint32_t inflight;          /* in the pool */
    bool keeps_all;             /* everybody failed: then nobody is out */
    atom64 latency, probe_us;   /* as pool_row's */
    atom32 probe_at;
};

/* The view must be of a table that is only read. */
void lb_own_attach(struct lb_view *v, struct lb_own *own);
/* The row of a live backend; what was known of another one that had the index is forgotten. */
struct lb_own_row *lb_own_row(const struct lb_view *v, uint32_t entry);
/* A request goes to that incarnation: it is in flight, and goes to the end of the line. */
void lb_own_take(const struct lb_view *v, uint32_t entry, uint32_t incarnation);

/* For lb.c: the view is about to be built of these; is it to be built at all now; did everybody
 * fail? Then all are taken back, true. */
void lb_own_begin(struct lb_view *v, const uint32_t *entries, uint32_t count);
void lb_own_tick(struct lb_view *v, uint64_t now_us);
bool lb_own_keeps_all(struct lb_view *v);

bool lb_own_usable(const struct lb_view *v, uint32_t entry);
uint32_t lb_own_share(const struct lb_view *v, uint32_t entry);
/* What is in flight, when the table says `all`. */
uint32_t lb_own_inflight(const struct lb_view *v, uint32_t entry, uint32_t all);
uint32_t lb_own_pool_inflight(const struct lb_view *v, uint32_t all);
uint64_t lb_own_latency(const struct lb_view *v, uint32_t entry);
/* As lb_select_least. Of many members LB_OWN_LOOKS are looked at, in turn. */
#define LB_OWN_LOOKS 64u
uint32_t lb_own_least(const struct lb_view *v, const struct lb_request *r);

/* What the algorithms ask: the table, and what the view's owner knows if he does. */
static inline bool lb_usable(const struct lb_view *v, uint32_t entry)
{
    return LIKELY(!v->own) ? entry_usable(entry_at(v->table, entry)) : lb_own_usable(v, entry);
}
static inline uint32_t lb_share(const struct lb_view *v, uint32_t entry)
{
    return LIKELY(!v->own) ? ramp_share(v->table, entry_at(v->table, entry))
                           : lb_own_share(v, entry);
}
static inline uint64_t lb_latency(const struct lb_view *v, uint32_t entry)
{
    return LIKELY(!v->own) ? count_get(&entry_at(v->table, entry)->latency)
                           : lb_own_latency(v, entry);
}
static inline uint32_t lb_inflight(const struct lb_view *v, uint32_t entry)
{
    uint32_t all = entry_inflight(v->table, entry);
    return LIKELY(!v->own) ? all : lb_own_inflight(v, entry, all);
}
static inline uint32_t lb_pool_inflight(const struct lb_view *v)
{
    uint32_t all = pool_inflight(v->table, v->pool);
    return LIKELY(!v->own) ? all : lb_own_pool_inflight(v, all);
}

#endif
