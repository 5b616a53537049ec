/*
 * shm/latency.c: see shm/latency.h. The word: the average in sixteenths of a microsecond, and below
 * it the time of the last answer in milliseconds modulo 2^32. An average of 0 is one that was never
 * fed.
 */
#include "shm/latency.h"

#include <string.h>
#include "shm/loads.h"
#include "shm/pool.h"

#define UNITS        16u /* per microsecond */
#define SHARE        (1.0 / 32)
#define HALF_MS      10000.0
#define DUE_MS       2000.0
#define DUE_TIMES    20.0
#define DUE_MAX_MS   300000.0
#define FEED_TRIES   4u
#define STEP_MASK    (~((1u << 19) - 1)) /* 4 bits of mantissa stay */
#define US_PER_MS    1000u
#define NEVER_FED_US 1.0f

static double average_of(uint64_t word)
{
    return (double)(word >> 32) / UNITS;
}

static double age_ms(uint64_t word, uint64_t now_us)
{
    int32_t age = (int32_t)((uint32_t)(now_us / US_PER_MS) - (uint32_t)word);
    return age > 0 ? age : 0; /* another worker's clock may be ahead */
}

static uint64_t fed_with(uint64_t word, uint64_t took_us, uint64_t now_us)
{
    double took = (double)took_us * UNITS, average = took;
    if (word >> 32) {
        double age = age_ms(word, now_us), share = age / (age + HALF_MS);
        double old = (double)(word >> 32);
        average = old + (took - old) * (share > SHARE ? share : SHARE);
    }
    uint64_t units = average < 1            ? 1
                     : average > UINT32_MAX ? UINT32_MAX
                                            : (uint64_t)(average + 0.5);
    return units << 32 | (uint32_t)(now_us / US_PER_MS);
}

/* An answer that is lost because others were faster does not matter. */
void latency_feed_word(atom64 *word, uint64_t took_us, uint64_t now_us)
{
    uint64_t old = count_get(word);
    for (unsigned i = 0; i < FEED_TRIES; i++)
        if (atomic_compare_exchange_weak(word, &old, fed_with(old, took_us, now_us)))
            return;
}

void latency_feed(struct table *t, uint32_t entry, uint64_t took_us, uint64_t now_us)
{
    struct entry *e = &t->entries[entry];
    uint32_t pool = word_get(&e->pool);
    if (pool >= POOL_MAX || word_get(&t->pools[pool].loads_kind) != LOADS_LATENCY)
        return;
    latency_feed_word(&e->latency, took_us, now_us);
    latency_feed_word(&t->pools[pool].latency, took_us, now_us);
    loads_update(t, entry, false);
}

double latency_us(const struct entry *e)
{
    return average_of(count_get(&e->latency));
}

double latency_pool_us(const struct pool_row *p)
{
    return average_of(count_get(&p->latency));
}

uint64_t latency_newer(uint64_t a, uint64_t b)
{
    if (a >> 32 == 0 || b >> 32 == 0)
        return a >> 32 == 0 ? b : a;
    return (int32_t)((uint32_t)a - (uint32_t)b) >= 0 ? a : b;
}

float latency_expected_of(uint64_t word, uint64_t pool_word)
{
    float us = (float)average_of(word);
    uint32_t bits;
    if (us == 0)
        us = (float)average_of(pool_word);
    if (us == 0)
        us = NEVER_FED_US;
    memcpy(&bits, &us, sizeof bits);
    bits &= STEP_MASK;
    memcpy(&us, &bits, sizeof us);
    return us;
}

float latency_expected(const struct table *t, const struct entry *e)
{
    return latency_expected_of(count_get(&e->latency),
                               count_get(&t->pools[word_get(&e->pool)].latency));
}

bool latency_is_due(uint64_t word, uint64_t now_us)
{
    double wait_ms = DUE_TIMES * average_of(word) / US_PER_MS;
    if (word >> 32 == 0)
        return true;
    wait_ms = wait_ms > DUE_MAX_MS ? DUE_MAX_MS : wait_ms < DUE_MS ? DUE_MS : wait_ms;
    return age_ms(word, now_us) >= wait_ms;
}

bool latency_ticket(atom64 *next, uint64_t now_us, uint64_t interval_us)
{
    uint64_t at = count_get(next);
    return now_us >= at && atomic_compare_exchange_strong(next, &at, now_us + interval_us);
}
