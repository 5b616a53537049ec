/* broker/report.c: see broker/broker_int.h. */
#include "broker/broker_int.h"

#include "base/clock.h"
#include "shm/breaker.h"
#include "shm/histo.h"
#include "shm/latency.h"
#include "shm/passive.h"

#define LATENCY_MAX_US 3600000000u
#define REASON         "reported by a client"

static void tell_breaker(struct table *t, const struct conf_pool *p, uint32_t slot,
                         const struct purse_record *r, uint32_t ticket)
{
    const struct breaker_rule rule = {p->breaker->failure_threshold, p->breaker->success_threshold,
                                      p->breaker->timeout_ms};
    if (r->outcome == PURSE_SUCCESS)
        (void)breaker_success(t, r->entry, slot, &rule, ticket);
    else if (r->outcome == PURSE_FAILURE)
        (void)breaker_failure(t, r->entry, slot, &rule, ticket, clock_mono_us(), REASON);
    else
        breaker_return(t, r->entry, ticket);
}

/* A ticket that this client was given for this backend; it is spent. */
static uint32_t spend(struct loan *l, const struct purse_record *r)
{
    for (uint32_t i = 0; i < LOAN_TICKETS && r->ticket; i++) {
        struct loan_ticket *k = &l->tickets[i];
        if (k->count && k->ticket == r->ticket && k->entry == r->entry &&
            k->incarnation == r->incarnation) {
            k->count--;
            return r->ticket;
        }
    }
    return BREAKER_NO_TICKET;
}

static void judge(struct loan *l, const struct purse_record *r)
{
    const struct child *c = l->broker->child;
    uint32_t pool = word_get(&entry_at(c->table, r->entry)->pool), ticket = spend(l, r);
    const struct conf_pool *p = pool < POOL_MAX ? l->broker->pools[pool] : NULL;
    if (!p)
        return;
    if (r->outcome == PURSE_FAILURE && p->passive.max_fails && c->conf->client_reports)
        (void)passive_failed(c->table, r->entry, c->slot, p->passive.max_fails,
                             p->passive.fail_timeout_ms, clock_mono_us(), REASON);
    if (p->breaker && (c->conf->client_reports || ticket))
        tell_breaker(c->table, p, c->slot, r, ticket);
}

/* What least_response_time of workers goes by: only of clients that are believed. */
static void feed(const struct child *c, const struct purse_record *r, uint64_t took_us)
{
    if (c->conf->client_reports)
        latency_feed(c->table, r->entry, took_us, clock_mono_us());
}

static void count(const struct child *c, const struct purse_record *r)
{
    struct cell *cell = table_cell(c->table, c->slot, r->entry);
    count_add(&cell->requests, 1);
    count_add(&cell->failed, r->outcome == PURSE_FAILURE);
    if (r->outcome == PURSE_FAILURE)
        feed(c, r, LATENCY_FAILED_US);
    if (r->outcome != PURSE_SUCCESS || r->latency_us == 0 || r->latency_us > LATENCY_MAX_US)
        return;
    count_add(&cell->response_us, r->latency_us);
    count_add(&cell->responses, 1);
    histo_add(cell->histo, r->latency_us);
    feed(c, r, r->latency_us);
}

/* A cell is written only by who holds a place: so it is that backend's, and no other's. */
void report_take(struct loan *l, const struct purse_record *r)
{
    const struct child *c = l->broker->child;
    if (grant_held(c->table, l->row, r->entry) == 0 || r->outcome > PURSE_ABANDONED ||
        r->entry >= word_get(&c->table->header->cells_reserved[c->slot]) ||
        word_get(&entry_at(c->table, r->entry)->incarnation) != r->incarnation)
        return;
    count(c, r);
    judge(l, r);
}

static void drop(struct table *t, struct loan_ticket *k)
{
    bool is_still = word_get(&entry_at(t, k->entry)->incarnation) == k->incarnation;
    for (; k->count; k->count--)
        if (is_still)
            breaker_return(t, k->entry, k->ticket);
}

void report_drop_tickets(struct loan *l)
{
    for (uint32_t i = 0; i < LOAN_TICKETS; i++)
        drop(l->broker->child->table, &l->tickets[i]);
}

void report_drop_idle_tickets(struct loan *l)
{
    struct table *t = l->broker->child->table;
    for (uint32_t i = 0; i < LOAN_TICKETS; i++)
        if (l->tickets[i].count && grant_held(t, l->row, l->tickets[i].entry) == 0)
            drop(t, &l->tickets[i]);
}
