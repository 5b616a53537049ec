/* The latency histogram against exact quantiles. */
#include "tests/unit/shm/fixture.h"

#include "base/hash.h"
#include "shm/histo.h"

#define SAMPLES 20000

static atom64 buckets[HISTO_BUCKETS];
static uint64_t samples[SAMPLES];

TEST(every_value_lies_in_its_bucket)
{
    uint32_t last = 0;
    for (uint64_t us = 0; us < (uint64_t)1 << 30; us += us < 5000 ? 1 : us / 500) {
        uint32_t bucket = histo_bucket(us);
        CHECK(bucket < HISTO_BUCKETS && bucket >= last && bucket <= last + 1);
        CHECK(histo_floor(bucket) <= us);
        CHECK(bucket == HISTO_BUCKETS - 1 || us < histo_floor(bucket + 1));
        last = bucket;
    }
    CHECK_EQ(last, HISTO_BUCKETS - 1);
    CHECK_EQ(histo_floor(HISTO_BUCKETS), 1 << 29);
    CHECK_EQ(histo_bucket(UINT64_MAX), HISTO_BUCKETS - 1);
}

TEST(buckets_are_at_most_a_quarter_wide)
{
    for (uint32_t i = 4; i < HISTO_BUCKETS; i++)
        CHECK(4 * (histo_floor(i + 1) - histo_floor(i)) <= histo_floor(i));
}

static int ascending(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    return x < y ? -1 : x > y;
}

/* shape 0: even, 1: long tail, 2: two humps */
static struct histo_sum fill(unsigned shape)
{
    struct histo_sum s;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        uint64_t r = hash_mix64(i + 1 + shape * SAMPLES);
        uint64_t us = shape == 0   ? 100 + r % 100000
                      : shape == 1 ? (uint64_t)200 << (r % 1024 * (r >> 10) % 1024 * 14 / 1024)
                                   : (r & 1 ? 300 : 90000) + (r >> 1) % 200;
        samples[i] = us;
        histo_add(buckets, us);
    }
    qsort(samples, SAMPLES, sizeof samples[0], ascending);
    histo_sum_clear(&s);
    histo_sum_add(&s, buckets);
    CHECK_EQ(s.count, SAMPLES);
    return s;
}

static void check_quantiles(unsigned shape)
{
    static const double qs[] = {0.001, 0.01, 0.1, 0.25, 0.45, 0.55, 0.75, 0.9, 0.99, 0.999, 1};
    struct histo_sum s = fill(shape);
    for (size_t i = 0; i < ARRAY_LEN(qs); i++) {
        size_t rank = (size_t)(qs[i] * SAMPLES);
        double exact = (double)samples[rank > 0 ? rank - 1 : 0], got = histo_quantile(&s, qs[i]);
        if (got < exact * 0.75 || got > exact * 1.25)
            fprintf(stderr, "shape %u q %g: exact %g got %g\n", shape, qs[i], exact, got);
        CHECK(got >= exact * 0.75 && got <= exact * 1.25);
    }
}

TEST(quantiles_of_an_even_spread)
{
    check_quantiles(0);
}

TEST(quantiles_of_a_long_tail)
{
    check_quantiles(1);
}

TEST(quantiles_of_two_humps)
{
    check_quantiles(2);
}

TEST(quantiles_rise)
{
    struct histo_sum s = fill(1);
    double last = 0;
    for (int i = 0; i <= 1000; i++) {
        double now = histo_quantile(&s, i / 1000.0);
        CHECK(now >= last);
        last = now;
    }
}

TEST(corners)
{
    struct histo_sum s;
    histo_sum_clear(&s);
    CHECK(histo_quantile(&s, 0.5) == 0);
    CHECK_EQ(histo_at_most(&s, 1000), 0);
    histo_add(buckets, 1000);
    histo_sum_add(&s, buckets);
    CHECK(histo_quantile(&s, -1) >= 896 && histo_quantile(&s, 2) <= 1024);
    CHECK(histo_quantile(&s, 0.0 / (double)(s.count - 1)) >= 896); /* NaN */
    CHECK_EQ(histo_at_most(&s, 800), 0);
    CHECK_EQ(histo_at_most(&s, 1023), 1);
    CHECK_EQ(histo_at_most(&s, UINT64_MAX), 1);
}

TEST(at_most_is_exact_at_borders)
{
    struct histo_sum s = fill(0);
    for (uint32_t i = 1; i < HISTO_BUCKETS; i++) {
        uint64_t border = histo_floor(i) - 1, exact = 0;
        while (exact < SAMPLES && samples[exact] <= border)
            exact++;
        CHECK_EQ(histo_at_most(&s, border), exact);
    }
}

TEST(at_most_grows)
{
    struct histo_sum s = fill(2);
    uint64_t last = 0;
    for (uint64_t us = 0; us < 200000; us += 7) {
        uint64_t now = histo_at_most(&s, us);
        CHECK(now >= last && now <= SAMPLES);
        last = now;
    }
    CHECK_EQ(last, SAMPLES);
}

TEST(sums_run_over_slots)
{
    struct table *t = make_table();
    struct histo_sum s;
    make_workers(t, 3);
    uint32_t pool = make_pool(t, "app"), id = make_entry(t, pool, "a", 0);
    table_lock(t);
    uint32_t listener = listener_add(t, "web");
    table_unlock(t);
    for (uint32_t slot = 0; slot < 3; slot++) {
        histo_add(table_cell(t, slot, id)->histo, 100);
        histo_add(table_lcell(t, slot, listener)->histo, 200);
    }
    histo_sum_clear(&s);
    histo_sum_entry(&s, t, id);
    CHECK_EQ(s.buckets[histo_bucket(100)], 3);
    histo_sum_listener(&s, t, listener);
    CHECK_EQ(s.buckets[histo_bucket(200)], 3);
    CHECK_EQ(s.count, 6);
}
