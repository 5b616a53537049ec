/* worker/verdict.c */
#include "worker/verdict.h"

#include <stdio.h>
#include "shm/breaker.h"
#include "shm/passive.h"

static void tell_breaker(struct txn *t, unsigned failure, const char *reason)
{
    const struct conf_breaker *b = t->pool->conf->breaker;
    struct worker *w = t->worker;
    uint32_t ticket = t->ticket;
    t->ticket = BREAKER_NO_TICKET;
    if (conf_failures_has(&b->on, failure))
        (void)breaker_failure(w->table, t->entry, w->slot, &t->pool->breaker, ticket, w->now_us,
                              reason);
    else if (failure >= CONF_FAILURE_STATUS)
        (void)breaker_success(w->table, t->entry, w->slot, &t->pool->breaker, ticket);
    else
        breaker_return(w->table, t->entry, ticket);
}

static void tell_passive(struct txn *t, const char *reason)
{
    const struct conf_passive *p = &t->pool->conf->passive;
    struct worker *w = t->worker;
    (void)passive_failed(w->table, t->entry, w->slot, p->max_fails, p->fail_timeout_ms, w->now_us,
                         reason);
}

void verdict_failed(struct txn *t, enum conf_failure failure, const char *reason)
{
    if (t->entry == INDEX_NONE)
        return;
    const struct conf_pool *p = t->pool->conf;
    if (p->passive.max_fails && conf_failures_has(&p->passive.on, failure))
        tell_passive(t, reason);
    if (p->breaker)
        tell_breaker(t, failure, reason);
}

void verdict_response(struct txn *t, unsigned status)
{
    const struct conf_pool *p = t->pool->conf;
    char reason[24] = "";
    bool fails = p->passive.max_fails && conf_failures_has(&p->passive.on, status);
    if (UNLIKELY(fails || p->breaker))
        snprintf(reason, sizeof reason, "status %u", status);
    if (UNLIKELY(fails))
        tell_passive(t, reason);
    if (UNLIKELY(p->breaker != NULL))
        tell_breaker(t, status, reason);
}

void verdict_none(struct txn *t)
{
    if (LIKELY(t->ticket == BREAKER_NO_TICKET))
        return;
    breaker_return(t->worker->table, t->entry, t->ticket);
    t->ticket = BREAKER_NO_TICKET;
}
