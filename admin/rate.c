#include "admin/rate.h"

#include <stdlib.h>
#include <string.h>
#include "shm/count.h"

struct rate *rate_new(void)
{
    return calloc(1, sizeof(struct rate));
}

void rate_free(struct rate *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < RATE_SAMPLES; i++)
        free(r->samples[i].entries);
    free(r);
}

static bool sample_grow(struct rate_sample *s, uint32_t cap)
{
    if (cap <= s->entries_cap)
        return true;
    uint64_t *grown = realloc(s->entries, sizeof(*grown) * cap);
    if (!grown)
        return false;
    s->entries = grown;
    s->entries_cap = cap;
    return true;
}

void rate_tick(struct rate *r, const struct table *t, uint64_t now_us)
{
    struct rate_sample *s = &r->samples[r->next];
    uint32_t entries = word_get(&t->header->entries_high);
    uint32_t listeners = word_get(&t->header->listeners_high);
    if (!sample_grow(s, entries))
        return;
    memset(s->listeners, 0, sizeof(s->listeners));
    for (uint32_t i = 0; i < listeners && i < LISTENER_MAX; i++)
        s->listeners[i] = count_lcell_sum(t, i, offsetof(struct lcell, requests));
    for (uint32_t i = 0; i < s->entries_cap; i++)
        s->entries[i] = i < entries ? count_cell_sum(t, i, offsetof(struct cell, requests)) : 0;
    s->at_us = now_us;
    r->next = (r->next + 1) % RATE_SAMPLES;
    if (r->count < RATE_SAMPLES)
        r->count++;
}

static const struct rate_sample *newest(const struct rate *r)
{
    return &r->samples[(r->next + RATE_SAMPLES - 1) % RATE_SAMPLES];
}

static const struct rate_sample *oldest(const struct rate *r)
{
    return &r->samples[(r->next + RATE_SAMPLES - r->count) % RATE_SAMPLES];
}

static double per_second(const struct rate *r, uint64_t from, uint64_t to)
{
    uint64_t span_us = newest(r)->at_us - oldest(r)->at_us;
    return span_us && to > from ? (double)(to - from) * 1e6 / (double)span_us : 0;
}

double rate_listener(const struct rate *r, uint32_t listener)
{
    if (r->count < 2 || listener >= LISTENER_MAX)
        return 0;
    return per_second(r, oldest(r)->listeners[listener], newest(r)->listeners[listener]);
}

double rate_total(const struct rate *r)
{
    double sum = 0;
    for (uint32_t i = 0; i < LISTENER_MAX; i++)
        sum += rate_listener(r, i);
    return sum;
}

double rate_entry(const struct rate *r, uint32_t entry)
{
    if (r->count < 2 || entry >= newest(r)->entries_cap)
        return 0;
    uint64_t before = entry < oldest(r)->entries_cap ? oldest(r)->entries[entry] : 0;
    return per_second(r, before, newest(r)->entries[entry]);
}
