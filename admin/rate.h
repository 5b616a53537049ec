/*
 * admin/rate.h: requests per second over the last few seconds. The admin process samples the totals
 * once a second into a small ring; a rate is the difference between the newest and the oldest
 * sample. Private memory, nothing shared.
 */
#ifndef BALLAST_ADMIN_RATE_H
#define BALLAST_ADMIN_RATE_H

#include "shm/table.h"

#define RATE_SAMPLES 6u /* five seconds */

struct rate_sample {
    uint64_t at_us;
    uint64_t listeners[LISTENER_MAX]; /* requests so far */
    uint64_t *entries;                /* requests so far, by index */
    uint32_t entries_cap;
};

struct rate {
    struct rate_sample samples[RATE_SAMPLES];
    uint32_t next, count;
};

struct rate *rate_new(void) MUST_CHECK; /* NULL without memory */
void rate_free(struct rate *r);
/* Takes a sample; now_us is monotonic. Without memory for it the sample is skipped. */
void rate_tick(struct rate *r, const struct table *t, uint64_t now_us);
/* Requests per second; 0 until there are two samples. */
double rate_total(const struct rate *r);
double rate_listener(const struct rate *r, uint32_t listener);
double rate_entry(const struct rate *r, uint32_t entry);

#endif
