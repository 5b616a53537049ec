/* least_response_time: who is fast gets the requests, who was slow is asked again, and nobody runs
 * to one that was never measured. */
#include "tests/unit/harness.h"
#include "shm/latency.h"
#include "tests/unit/worker/lb_fixture.h"

#define MEMBERS 4u
#define SECOND  1000000u

static struct fixture f;
static uint32_t e[MEMBERS];
static uint64_t now_us = 1000 * (uint64_t)SECOND;

static void open_pool(const char *algorithm)
{
    fixture_open(&f);
    for (unsigned i = 0; i < MEMBERS; i++)
        e[i] = fixture_add(&f, 1, false);
    fixture_view(&f, algorithm);
}

static uint32_t pick(void)
{
    struct lb_request r = {.now_us = now_us};
    if (lb_view_refresh(&f.view, now_us) == -1)
        exit(1);
    return f.view.algorithm->select(&f.view, &r);
}

static uint32_t take(uint32_t slot)
{
    uint32_t entry = pick();
    CHECK(entry != INDEX_NONE);
    CHECK(entry_reserve(&f.table, entry, word_get(&entry_at(&f.table, entry)->incarnation), slot));
    return entry;
}

static void finish(uint32_t entry, uint32_t slot, uint64_t took_us)
{
    latency_feed(&f.table, entry, took_us, now_us);
    entry_release(&f.table, entry, slot);
}

/* One request after the other, `gap_us` apart; counts by member; latency_us by member. */
static void run(unsigned requests, uint64_t gap_us, const uint64_t *took_us, unsigned *counts)
{
    for (unsigned n = 0; n < requests; n++, now_us += gap_us) {
        uint32_t entry = take(n % 4);
        for (unsigned i = 0; i < MEMBERS; i++)
            if (e[i] == entry) {
                counts[i]++;
                finish(entry, n % 4, took_us[i]);
            }
    }
}

static void measure_all(const uint64_t *took_us)
{
    unsigned counts[MEMBERS] = {0};
    run(40, SECOND, took_us, counts); /* long enough for a probe of each */
    for (unsigned i = 0; i < MEMBERS; i++)
        CHECK(counts[i] > 0);
}

TEST(the_fastest_gets_nearly_all_and_the_alias_is_the_same)
{
    static const uint64_t took[] = {30000, 2000, 40000, 50000};
    unsigned counts[MEMBERS] = {0};
    open_pool("fastest_response");
    CHECK_STR(f.view.algorithm->name, "least_response_time");
    measure_all(took);
    run(1000, 1000, took, counts);
    CHECK(counts[1] > 950);
}

/* traefik#12306: 5 requests of 1500 and never again. */
TEST(one_that_had_a_slow_spell_gets_its_share_back)
{
    static const uint64_t slow[] = {1000, 1000, 5000000, 1000}, well[] = {1000, 1000, 1000, 1000};
    unsigned during[MEMBERS] = {0}, after[MEMBERS] = {0};
    open_pool("least_response_time");
    measure_all(well);
    run(6000, 10000, slow, during);
    CHECK(during[2] >= 1 && during[2] < 10);
    run(30000, 10000, well, after); /* five minutes */
    CHECK(after[2] > 3000);
}

TEST(one_that_hangs_is_probed_once_at_a_time)
{
    static const uint64_t took[] = {1000, 1000, 1000, 1000};
    open_pool("least_response_time");
    measure_all(took);
    unsigned held = 0;
    for (unsigned n = 0; n < 20000; n++, now_us += 10000) {
        uint32_t entry = take(0);
        if (entry == e[2])
            held++;
        else
            finish(entry, 0, 1000);
    }
    CHECK(held < 15); /* until 1 + 0.1 x held is worse than the others, and never more */
    CHECK_EQ(entry_inflight(&f.table, e[2]), held);
}

TEST(a_new_backend_is_no_magnet_and_is_measured_soon)
{
    static const uint64_t took[] = {10000, 10000, 10000, 10000};
    open_pool("least_response_time");
    measure_all(took);
    uint32_t fresh = fixture_add(&f, 1, false), held = 0, asked_after = 0;
    uint32_t flying[64];
    for (unsigned n = 0; n < ARRAY_LEN(flying); n++, now_us += 1000) {
        flying[n] = take(0);
        held += flying[n] == fresh;
        if (held && !asked_after)
            asked_after = n + 1;
    }
    CHECK(held >= 1 && held <= 64 / 4);
    CHECK(asked_after < 20);
}

TEST(nobody_measured_take_turns)
{
    unsigned counts[ENTRY_MAX] = {0};
    open_pool("least_response_time");
    for (unsigned n = 0; n < 40; n++)
        counts[take(0)]++;
    for (unsigned i = 0; i < MEMBERS; i++)
        CHECK_EQ(counts[e[i]], 10);
}

TEST(load_counts_as_the_formula_says)
{
    static const uint64_t took[] = {16000, 32000, 1000000, 1000000};
    open_pool("least_response_time");
    for (unsigned i = 0; i < MEMBERS; i++) {
        CHECK(entry_reserve(&f.table, e[i], 1, 0));
        finish(e[i], 0, took[i]);
    }
    atomic_store(&pool_at(&f.table, f.pool)->probe_us, UINT64_MAX);
    for (unsigned n = 0; n < 10; n++) /* 16 x (1 + 0.1 x 10) = 32 x 1 */
        CHECK_EQ(take(0), e[0]);
    (void)take(0);
    (void)take(0);
    CHECK_EQ(entry_inflight(&f.table, e[0]) + entry_inflight(&f.table, e[1]), 12);
    CHECK(entry_inflight(&f.table, e[1]) >= 1);
}

TEST(weight_divides_the_score)
{
    static const uint64_t took[] = {16000, 30000, 1000000, 1000000};
    open_pool("least_response_time");
    entry_set_weight_override(&f.table, e[1], 4);
    for (unsigned i = 0; i < MEMBERS; i++) {
        CHECK(entry_reserve(&f.table, e[i], 1, 0));
        finish(e[i], 0, took[i]);
    }
    atomic_store(&pool_at(&f.table, f.pool)->probe_us, UINT64_MAX);
    for (unsigned n = 0; n < 10; n++)
        CHECK_EQ(take(0), e[1]);
}

TEST(a_ticket_is_given_once_per_interval)
{
    open_pool("least_response_time");
    unsigned given = 0;
    for (unsigned i = 0; i < 1000; i++, now_us += 1000)
        for (unsigned worker = 0; worker < 4; worker++)
            given += latency_ticket(&pool_at(&f.table, f.pool)->probe_us, now_us, 100000);
    CHECK_EQ(given, 10);
}

TEST(old_answers_weigh_less_the_longer_the_pause)
{
    open_pool("least_response_time");
    const struct entry *x = entry_at(&f.table, e[0]);
    latency_feed(&f.table, e[0], 100000, now_us);
    CHECK_EQ((unsigned)latency_us(x), 100000);
    latency_feed(&f.table, e[0], 0, now_us + 1000);
    CHECK((unsigned)latency_us(x) > 95000);
    latency_feed(&f.table, e[0], 0, now_us + 10 * SECOND);
    CHECK((unsigned)latency_us(x) > 45000 && (unsigned)latency_us(x) < 50000);
    latency_feed(&f.table, e[0], 0, now_us + 1000 * (uint64_t)SECOND);
    CHECK((unsigned)latency_us(x) < 1000);
    latency_feed(&f.table, e[0], 0, now_us); /* a clock that is behind */
    latency_feed(&f.table, e[0], UINT64_MAX / 32, now_us);
    CHECK(latency_us(x) > 1000);
}

TEST(a_pool_that_does_not_ask_is_not_fed)
{
    open_pool("round_robin");
    latency_feed(&f.table, e[0], 100, now_us);
    CHECK(latency_us(entry_at(&f.table, e[0])) == 0);
}
