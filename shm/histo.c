/*
 * shm/histo.c: see shm/histo.h.
 */
#include "shm/histo.h"

uint64_t histo_floor(uint32_t bucket)
{
    if (bucket < 4)
        return bucket;
    uint32_t octave = bucket / 4 + 1;
    return (uint64_t)(4 + bucket % 4) << (octave - 2);
}

void histo_sum_clear(struct histo_sum *s)
{
    *s = (struct histo_sum){0};
}

void histo_sum_add(struct histo_sum *s, const atom64 *buckets)
{
    for (uint32_t i = 0; i < HISTO_BUCKETS; i++) {
        uint64_t n = count_get(&buckets[i]);
        s->buckets[i] += n;
        s->count += n;
    }
}

void histo_sum_entry(struct histo_sum *s, const struct table *t, uint32_t entry)
{
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++)
        if (entry < word_get(&t->header->cells_reserved[slot]))
            histo_sum_add(s, table_cell(t, slot, entry)->histo);
}

void histo_sum_listener(struct histo_sum *s, const struct table *t, uint32_t listener)
{
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++)
        if (listener < word_get(&t->header->lcells_reserved[slot]))
            histo_sum_add(s, table_lcell(t, slot, listener)->histo);
}

/* The point of bucket i where a share (0..1) of its samples lies below, taking them as evenly
 * spread. */
static double inside(uint32_t i, double share)
{
    double low = (double)histo_floor(i), high = (double)histo_floor(i + 1);
    return low + (high - low) * share;
}

double histo_quantile(const struct histo_sum *s, double q)
{
    if (s->count == 0)
        return 0;
    q = q > 1 ? 1 : q > 0 ? q : 0; /* NaN too becomes 0 */
    double wanted = q * (double)s->count, below = 0;
    uint32_t last = 0;
    for (uint32_t i = 0; i < HISTO_BUCKETS; i++) {
        double n = (double)s->buckets[i];
        if (n > 0 && below + n >= wanted)
            return inside(i, (wanted - below) / n);
        if (n > 0)
            last = i;
        below += n;
    }
    return inside(last, 1); /* rounding */
}

uint64_t histo_at_most(const struct histo_sum *s, uint64_t us)
{
    uint64_t sum = 0;
    uint32_t bucket = histo_bucket(us);
    if (us >= histo_floor(HISTO_BUCKETS))
        return s->count;
    for (uint32_t i = 0; i < bucket; i++)
        sum += s->buckets[i];
    double low = (double)histo_floor(bucket), high = (double)histo_floor(bucket + 1);
    /* whole microseconds: a bucket [4, 5) holds nothing but 4, all of it at most 4 */
    double share = ((double)us + 1 - low) / (high - low);
    return sum + (uint64_t)((double)s->buckets[bucket] * share);
}
