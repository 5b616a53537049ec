/*
 * worker/cache_coded.c: a stored body that is sent compressed is compressed once: what the first
 * client who takes a coding gets is kept beside the body, and goes with it (shm/cache_held.c).
 */
#include "worker/cache_int.h"
#include "worker/txn.h"

bool cache_coded_take(struct txn *t, uint8_t coding, uint32_t level)
{
    struct txn_cache *tc = t->cache;
    struct worker *w = t->worker;
    uint64_t bytes;
    if (tc->left == 0 ||
        !cache_take_coded(w->table, w->slot, &tc->ref, coding, (uint8_t)level, &bytes))
        return false;
    tc->left = t->res_left = bytes;
    return true;
}

/* One at a time makes it. */
static bool claim(struct txn_cache *tc, uint8_t coding)
{
    struct worker *w = tc->t->worker;
    if (tc->claimed || tc->filling)
        return false;
    tc->claim_hash = hash_mix64(tc->hash + coding);
    tc->claimed = cache_claim(w->table, w->slot, tc->claim_hash, ++w->cache_serial, &tc->claim) ==
                  CACHE_CLAIMED;
    return tc->claimed;
}

bool cache_coded_begin(struct txn *t, uint8_t coding, uint32_t level)
{
    struct txn_cache *tc = t->cache;
    if (tc->left == 0 || !claim(tc, coding))
        return false;
    tc->about = (struct cache_about){.made_us = t->worker->now_us,
                                     .kind = CACHE_CODED,
                                     .coding = coding,
                                     .level = (uint8_t)level};
    tc->coded_place = cache_coded_place(&tc->ref);
    if (cache_store_open(tc))
        return true;
    cache_release_claim(tc);
    return false;
}

void cache_coded_keep(struct txn *t, const char *bytes, uint32_t len)
{
    struct txn_cache *tc = t->cache;
    if (!tc->filling || cache_store_append(tc, bytes, len))
        return;
    cache_store_end(tc);
    cache_release_claim(tc);
}

void cache_coded_complete(struct txn *t)
{
    struct txn_cache *tc = t->cache;
    struct worker *w = t->worker;
    if (!tc->filling)
        return;
    cache_store_done(tc);
    cache_fill_attach(w->table, w->slot, &tc->fill, &tc->about, tc->coded_place);
    cache_release_claim(tc);
}
