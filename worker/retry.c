/* worker/retry.c */
#include "worker/retry.h"

bool retry_possible(const struct txn *t)
{
    bool answered = t->res_head_done || t->client_started;
    return !answered && (!t->sent_any || (t->req_replayable && t->req_idempotent));
}

static bool in_time(const struct txn *t)
{
    const struct conf_retry *r = &t->pool->conf->retry;
    return t->attempts < r->attempts && t->worker->now_us - t->started_us < r->timeout_ms * 1000ull;
}

static bool in_budget(struct txn *t)
{
    struct worker *w = t->worker;
    const struct conf_pool *p = t->pool->conf;
    if (!t->retrying)
        t->retrying = pool_retry_reserve(w->table, p->row, w->slot, p->retry.budget_percent);
    return t->retrying;
}

bool retry_begin(struct txn *t, unsigned failure)
{
    return conf_failures_has(&t->pool->conf->retry.on, failure) && in_time(t) &&
           retry_possible(t) && in_budget(t);
}

void retry_end(struct txn *t)
{
    if (t->retrying)
        pool_retry_release(t->worker->table, t->pool->conf->row, t->worker->slot);
    t->retrying = false;
}

void retry_rewind(struct txn *t)
{
    struct worker *w = t->worker;
    if (t->up_head)
        t->up_head->start = 0;
    if (t->res)
        slab_put(&w->head_slab, t->res);
    buf_put(&w->bufs, t->rbuf);
    t->res = NULL;
    t->rbuf = NULL;
    t->res_ready = 0;
    t->sent_any = t->send_broken = false;
}
