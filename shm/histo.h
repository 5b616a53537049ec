/*
 * shm/histo.h: log-linear latency histogram in microseconds: 4 buckets per power of two, 1 us to
 * 2^29 us (9 min; beyond goes to the last bucket). A quantile is interpolated within its bucket, so
 * it is at most 25 % (typically 6 %) from the truth.
 */
#ifndef BALLAST_SHM_HISTO_H
#define BALLAST_SHM_HISTO_H

#include "shm/count.h"

static inline uint32_t histo_bucket(uint64_t us)
{
    if (us < 4)
        return (uint32_t)us;
    uint32_t octave = 63u - (uint32_t)__builtin_clzll(us);
    uint32_t index = (octave - 1) * 4 + (uint32_t)((us >> (octave - 2)) & 3);
    return index < HISTO_BUCKETS ? index : HISTO_BUCKETS - 1;
}
/* Smallest value of a bucket; histo_floor(HISTO_BUCKETS) is the end of the range. */
uint64_t histo_floor(uint32_t bucket);

static inline void histo_add(atom64 *buckets, uint64_t us)
{
    count_add(&buckets[histo_bucket(us)], 1);
}

/* A private sum of histograms, for readers. */
struct histo_sum {
    uint64_t buckets[HISTO_BUCKETS];
    uint64_t count;
};
void histo_sum_clear(struct histo_sum *s);
void histo_sum_add(struct histo_sum *s, const atom64 *buckets);
void histo_sum_entry(struct histo_sum *s, const struct table *t,
                     uint32_t entry); /* adds over all slots */
void histo_sum_listener(struct histo_sum *s, const struct table *t,
                        uint32_t listener); /* adds over all slots */
/* The q-quantile (0..1) in microseconds; 0 when empty. */
double histo_quantile(const struct histo_sum *s, double q);
/* How many samples were at most us (for Prometheus buckets; exact at bucket borders, interpolated
 * between). */
uint64_t histo_at_most(const struct histo_sum *s, uint64_t us);

#endif
