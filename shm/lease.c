/*
 * shm/lease.c: see shm/lease.h.
 */
#include "shm/lease.h"

bool lease_is_registered(const struct entry *e)
{
    return word_get(&e->state) == ROW_LIVE && word_get(&e->origin) == ORIGIN_DISCOVERY &&
           word_get(&e->source) == 0;
}

void lease_renew(struct entry *e, uint32_t ttl_ms, uint64_t now_us)
{
    word_set(&e->lease_ttl_ms, ttl_ms);
    atomic_store(&e->lease_until_us, ttl_ms == 0 ? 0 : now_us + (uint64_t)ttl_ms * 1000);
}

void lease_extend(struct entry *e, uint64_t by_us)
{
    uint64_t until_us = atomic_load(&e->lease_until_us);
    while (until_us != 0 &&
           !atomic_compare_exchange_weak(&e->lease_until_us, &until_us, until_us + by_us))
        ;
}

bool lease_is_over(const struct entry *e, uint64_t now_us)
{
    return lease_is_registered(e) && lease_left_us(e, now_us) == 0;
}

uint64_t lease_left_us(const struct entry *e, uint64_t now_us)
{
    uint64_t until_us = atomic_load(&e->lease_until_us);
    if (until_us == 0)
        return UINT64_MAX;
    return until_us > now_us ? until_us - now_us : 0;
}
