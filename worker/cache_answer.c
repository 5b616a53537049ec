/* worker/cache_answer.c: what becomes of a backend's answer: it is kept, confirms what is kept, or
 * what is kept stands in for it. */
#include "worker/account.h"
#include "worker/cache_int.h"
#include "worker/txn.h"
#include "worker/verdict.h"

static bool is_error(unsigned status)
{
    return status == 500 || status == 502 || status == 503 || status == 504;
}

bool cache_stands_in(struct txn *t, unsigned status)
{
    struct txn_cache *tc = t->cache;
    if (!tc->pinned || !is_error(status) || t->state == TXN_REPLY ||
        !cache_is_stale_within(tc, cache_about(t->worker->table, &tc->ref)->if_error_s))
        return false;
    cache_release_claim(tc);
    t->failed = false;
    cache_serve(tc, CACHE_STALE);
    return true;
}

/* The backend has done its part, and its answer is not passed on. */
static void drop_answer(struct txn *t, bool whole)
{
    struct worker *w = t->worker;
    account_response(t, t->res->status);
    verdict_response(t, t->res->status);
    txn_leave_backend(t, whole);
    slab_put(&w->head_slab, t->res);
    buf_put(&w->bufs, t->rbuf);
    t->res = NULL;
    t->rbuf = NULL;
    t->res_ready = 0;
}

static bool confirm(struct txn *t, bool whole)
{
    struct txn_cache *tc = t->cache;
    cache_store_freshen(tc, t->res, buf_at(t->rbuf));
    drop_answer(t, whole);
    cache_release_claim(tc);
    cache_serve(tc, CACHE_REVALIDATED);
    return true;
}

static void invalidate(struct txn_cache *tc, unsigned status)
{
    struct worker *w = tc->t->worker;
    struct cache_key k = cache_key_of(tc);
    if (status >= 200 && status < 400)
        cache_invalidate(w->table, w->slot, &k);
}

/* Not kept: those who wait need not, and for a while nobody does. A confirmation for the client
 * itself says nothing about that. */
static void pass_on(struct txn_cache *tc, unsigned status)
{
    struct worker *w = tc->t->worker;
    if (tc->fetches && tc->pinned && status < 500 && status != 304) /* it is not so any more */
        cache_drop(w->table, w->slot, &tc->ref);
    if (tc->fetches && status != 304)
        cache_pass(w->table, tc->claim_hash, w->now_us);
    cache_release_claim(tc);
}

bool cache_takes_answer(struct txn *t, bool whole)
{
    struct txn_cache *tc = t->cache;
    unsigned status = t->res->status;
    if (tc->unsafe)
        invalidate(tc, status);
    if (tc->pinned && t->revalidates && status == 304)
        return confirm(t, whole);
    if (tc->pinned && is_error(status) &&
        cache_is_stale_within(tc, cache_about(t->worker->table, &tc->ref)->if_error_s)) {
        drop_answer(t, whole);
        return cache_stands_in(t, status);
    }
    t->keeps = tc->fetches && cache_store_begin(tc, t->res, buf_at(t->rbuf));
    if (!t->keeps)
        pass_on(tc, status);
    cache_unpin_ref(tc);
    return false;
}

/* The client's conditions were kept from the backend: they are judged here. */
void cache_shape(struct txn *t)
{
    struct txn_cache *tc = t->cache;
    const char *asked_base;
    const struct http1_head *asked;
    if (t->stored || !tc->whole || !tc->conditional || t->res->status != 200 ||
        !(asked = cache_client_head(tc, &asked_base)))
        return;
    tc->unmodified = cache_is_unmodified(asked, asked_base, t->res, buf_at(t->rbuf));
    if (!tc->unmodified)
        return;
    t->res->status = 304;
    t->res->reason.len = 0;
}

bool cache_discards(const struct txn *t)
{
    return t->cache->quiet || t->cache->unmodified;
}
