/* Rate limits against naive models with a clock of our own; several processes at once; floods. */
#include "tests/unit/shm/fixture.h"

#include "shm/rate.h"

#define SECOND 1000000ull
#define START  (1234567 * SECOND + 89)

static struct rate_table make_rate(struct rate_plan *plan, struct rate_spec spec)
{
    if (!spec.entries)
        spec.entries = 64;
    rate_compile(&spec, plan);
    uint64_t bytes = rate_bytes(plan);
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(base != MAP_FAILED);
    return (struct rate_table){.plan = plan, .base = base};
}

static uint64_t random_state = 88172645463325252u;

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static uint64_t key_of(uint64_t n)
{
    return hash_mix64(n * 2 + 1);
}

/* As many as are allowed of `tries`, all at one time. */
static uint32_t burst(const struct rate_table *r, uint64_t key, uint64_t now_us, uint32_t tries)
{
    struct rate_verdict v;
    uint32_t allowed = 0;
    while (tries-- > 0)
        allowed += rate_take(r, key, now_us, &v);
    return allowed;
}

TEST(a_token_bucket_gives_its_depth_then_its_rate)
{
    struct rate_plan plan;
    struct rate_verdict v;
    struct rate_table r = make_rate(
        &plan, (struct rate_spec){RATE_TOKEN_BUCKET, .count = 10, .period_ms = 1000, .burst = 100});
    CHECK_EQ(burst(&r, key_of(1), START, 150), 100);
    CHECK(!rate_take(&r, key_of(1), START, &v));
    CHECK_EQ(v.wait_us, SECOND / 10);
    CHECK_EQ(v.reset_us, 10 * SECOND);
    CHECK_EQ(v.remaining, 0);
    CHECK_EQ(burst(&r, key_of(1), START + SECOND / 10 - 1, 5), 0);
    CHECK_EQ(burst(&r, key_of(1), START + SECOND / 10, 5), 1);
    CHECK_EQ(burst(&r, key_of(1), START + SECOND, 50), 9);
    CHECK_EQ(burst(&r, key_of(2), START + SECOND, 150), 100); /* another key */
    CHECK_EQ(burst(&r, key_of(1), START + 3600 * SECOND, 150), 100);
    CHECK(rate_take(&r, key_of(3), START, &v));
    CHECK_EQ(v.remaining, 99);
    CHECK_EQ(v.reset_us, SECOND / 10);
}

TEST(a_leaky_bucket_says_how_long_to_wait)
{
    struct rate_plan plan;
    struct rate_verdict v;
    struct rate_table r = make_rate(
        &plan, (struct rate_spec){RATE_LEAKY_BUCKET, .count = 5, .period_ms = 1000, .burst = 4});
    for (uint32_t i = 0; i < 4; i++) {
        CHECK(rate_take(&r, key_of(1), START, &v));
        CHECK_EQ(v.wait_us, i * SECOND / 5);
    }
    CHECK(!rate_take(&r, key_of(1), START, &v));
    CHECK_EQ(v.wait_us, SECOND / 5);
    CHECK(rate_take(&r, key_of(1), START + SECOND / 5, &v));
    CHECK_EQ(v.wait_us, 3 * SECOND / 5);
}

TEST(a_small_sliding_window_is_the_exact_log)
{
    struct rate_plan plan;
    struct rate_verdict v;
    struct rate_table r =
        make_rate(&plan, (struct rate_spec){RATE_SLIDING_WINDOW, .count = 3, .period_ms = 60000});
    CHECK(rate_take(&r, key_of(1), START, &v));
    CHECK_EQ(v.remaining, 2);
    CHECK(rate_take(&r, key_of(1), START + 59 * SECOND, &v));
    CHECK(rate_take(&r, key_of(1), START + 59 * SECOND, &v));
    CHECK_EQ(v.remaining, 0);
    CHECK(!rate_take(&r, key_of(1), START + 59 * SECOND, &v));
    CHECK(v.wait_us >= SECOND && v.wait_us < SECOND + 1000);
    CHECK(!rate_peek(&r, key_of(1), START + 60 * SECOND - 1, &v));
    CHECK(rate_peek(&r, key_of(1), START + 60 * SECOND + 1000, &v));
    CHECK_EQ(burst(&r, key_of(1), START + 60 * SECOND + 1000, 5), 1);
    CHECK_EQ(burst(&r, key_of(1), START + 118 * SECOND, 5), 0);
    CHECK_EQ(burst(&r, key_of(1), START + 119 * SECOND + 1000, 5), 2);
    CHECK_EQ(burst(&r, key_of(1), START + 7200 * SECOND, 5), 3);
}

/* ---- against models ---- */

#define LOG_MAX 8192u
static uint64_t times[LOG_MAX];
static uint32_t time_count;

static uint32_t within(uint64_t now_us, uint64_t window_us)
{
    uint32_t n = 0;
    for (uint32_t i = time_count; i > 0 && times[i - 1] + window_us > now_us; i--)
        n++;
    return n;
}

/* Pauses of all lengths: within a block, about a window, many windows. */
static uint64_t pause_us(uint64_t window_us)
{
    switch (draw(8)) {
    case 0: return draw(2 * window_us);
    case 1: return window_us + draw(5) * 100;
    case 2: return draw(64) == 0 ? draw(window_us * 6000) : 0;
    default: return draw(window_us / 10 + 1);
    }
}

static void compare_window(uint32_t count, uint32_t period_ms, uint32_t steps)
{
    struct rate_plan plan;
    struct rate_verdict v;
    struct rate_table r = make_rate(
        &plan, (struct rate_spec){RATE_SLIDING_WINDOW, .count = count, .period_ms = period_ms});
    uint64_t window_us = period_ms * 1000ull, now_us = START, slack_us = window_us / 200000 + 2;
    uint32_t refused_rightly = 0;
    time_count = 0;
    for (uint32_t i = 0; i < steps && time_count < LOG_MAX; i++) {
        now_us += pause_us(window_us);
        for (uint64_t tries = draw(count) + 1; tries > 0 && time_count < LOG_MAX; tries--) {
            uint32_t used = within(now_us, window_us);
            bool would = rate_peek(&r, key_of(7), now_us, &v);
            bool got = rate_take(&r, key_of(7), now_us, &v);
            CHECK_EQ(would, got);
            if (got)
                CHECK(used < count); /* never one more */
            else if (count <= RATE_BLOCKS)
                CHECK(within(now_us, window_us + slack_us) >= count); /* and never one less */
            else /* blocks: what left the window comes back block by block */
                CHECK(within(now_us, window_us + slack_us) + count / RATE_BLOCKS + 1 >= count);
            if (got)
                times[time_count++] = now_us;
            refused_rightly += !got;
        }
    }
    CHECK(time_count > 10 && refused_rightly > 10);
}

TEST(sliding_windows_against_the_exact_log)
{
    compare_window(1, 1000, 3000);
    compare_window(2, 60000, 2000);
    compare_window(7, 10000, 1000);
    compare_window(28, 60000, 400);
    compare_window(29, 60000, 400);
    compare_window(50, 60000, 300);
    compare_window(1000, 3600000, 100);
    compare_window(13, 86400000, 1000);
}

/* A bucket of tokens in exact arithmetic: tokens * period_us * count fit in 128 bits. */
static void compare_bucket(enum rate_algorithm algorithm, uint32_t count, uint32_t period_ms,
                           uint32_t depth)
{
    struct rate_plan plan;
    struct rate_verdict v;
    struct rate_table r =
        make_rate(&plan, (struct rate_spec){algorithm, .count = count, .period_ms = period_ms,
                                            .burst = depth});
    uint64_t now_us = START, fill_us = (uint64_t)depth * period_ms * 1000 / count + 1;
    /* tokens in units of 1 / period_us */
    double period_us = period_ms * 1000.0, tokens = depth;
    uint32_t allowed = 0, refused = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        uint64_t pause = draw(2 + depth / 3) == 0 ? pause_us(fill_us) : 0;
        now_us += pause;
        tokens += (double)pause * count / period_us;
        if (tokens > depth)
            tokens = depth;
        bool got = rate_take(&r, key_of(9), now_us, &v);
        if (got)
            CHECK(tokens >= 1 - 1e-6); /* never one more */
        else
            CHECK(tokens < 1 + depth * 0.005 + 1e-6);
        if (got && algorithm == RATE_LEAKY_BUCKET) {
            double wait_us = (depth - tokens) * period_us / count;
            CHECK((double)v.wait_us >= wait_us - 1 && (double)v.wait_us <= wait_us * 1.01 + 2);
        }
        if (!got) { /* as late as it says, and no sooner */
            CHECK(rate_peek(&r, key_of(9), now_us + v.wait_us, &v));
        }
        tokens -= got;
        allowed += got;
        refused += !got;
    }
    CHECK(allowed > 10 && refused > 10);
}

TEST(buckets_against_exact_arithmetic)
{
    compare_bucket(RATE_TOKEN_BUCKET, 10, 1000, 100);
    compare_bucket(RATE_TOKEN_BUCKET, 3, 1000, 1);
    compare_bucket(RATE_TOKEN_BUCKET, 7, 60000, 3);
    compare_bucket(RATE_TOKEN_BUCKET, 1000, 1000, 1000);
    compare_bucket(RATE_TOKEN_BUCKET, 1, 86400000, 50);
    compare_bucket(RATE_LEAKY_BUCKET, 5, 1000, 100);
    compare_bucket(RATE_LEAKY_BUCKET, 600, 60000, 20);
}

/* Only what is said of those who are allowed is left out. */
static void compare_quiet(struct rate_spec spec)
{
    struct rate_plan plans[2];
    struct rate_table loud = make_rate(&plans[0], spec);
    spec.quiet = true;
    struct rate_table quiet = make_rate(&plans[1], spec);
    uint32_t refused = 0;
    uint64_t now_us = START;
    for (uint32_t i = 0; i < 20000; i++) {
        struct rate_verdict a, b;
        uint64_t key = key_of(draw(120)); /* more than there is room for */
        now_us += draw(200);
        CHECK_EQ(rate_take(&loud, key, now_us, &a), rate_take(&quiet, key, now_us, &b));
        CHECK_EQ(a.evicted, b.evicted);
        CHECK_EQ(a.wait_us, b.wait_us);
        refused += !a.allowed;
        if (!a.allowed)
            CHECK(a.reset_us == b.reset_us && a.remaining == b.remaining);
    }
    CHECK(refused > 1000 && refused < 19000);
}

TEST(a_quiet_limit_decides_as_one_that_tells)
{
    compare_quiet((struct rate_spec){RATE_TOKEN_BUCKET, 20, 1000, 5, 64, false});
    compare_quiet((struct rate_spec){RATE_LEAKY_BUCKET, 20, 1000, 5, 64, false});
    compare_quiet((struct rate_spec){RATE_SLIDING_WINDOW, 20, 1000, 0, 64, false});
    compare_quiet((struct rate_spec){RATE_SLIDING_WINDOW, 100, 10000, 0, 64, false});
}

TEST(extreme_limits_compile)
{
    static const struct rate_spec specs[] = {
        {RATE_TOKEN_BUCKET, RATE_COUNT_MAX, 1, RATE_COUNT_MAX, 1, false},
        {RATE_TOKEN_BUCKET, RATE_COUNT_MAX, RATE_PERIOD_MAX, RATE_COUNT_MAX, 1, false},
        {RATE_TOKEN_BUCKET, 1, RATE_PERIOD_MAX, RATE_COUNT_MAX, 1, false},
        {RATE_LEAKY_BUCKET, 1, 1, 1, 1, false},
        {RATE_SLIDING_WINDOW, RATE_COUNT_MAX, RATE_PERIOD_MAX, 0, 1, false},
        {RATE_SLIDING_WINDOW, 1, 1, 0, 1, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        struct rate_plan plan;
        struct rate_verdict v;
        struct rate_table r = make_rate(&plan, specs[i]);
        uint32_t most = specs[i].algorithm == RATE_SLIDING_WINDOW ? specs[i].count : specs[i].burst;
        CHECK_EQ(burst(&r, key_of(i), START, 20), most < 20 ? most : 20);
        CHECK(rate_peek(&r, key_of(i), START + 2 * plan.idle_us, &v));
        CHECK_EQ(v.remaining, most);
    }
}

/* ---- many keys ---- */

TEST(a_flood_of_fresh_keys_evicts_nobody_who_is_limited)
{
    for (int kind = RATE_TOKEN_BUCKET; kind <= RATE_LEAKY_BUCKET; kind++) {
        struct rate_plan plan;
        struct rate_verdict v;
        struct rate_table r =
            make_rate(&plan, (struct rate_spec){(enum rate_algorithm)kind, .count = 50,
                                                .period_ms = 60000, .burst = 50, .entries = 1000});
        CHECK_EQ(burst(&r, key_of(1), START, 60), 50);
        uint32_t evicted = 0;
        for (uint64_t i = 0; i < 200000; i++) {
            CHECK(rate_take(&r, key_of(1000 + i), START + i * 10, &v));
            evicted += v.evicted;
        }
        CHECK(evicted > 100000);
        CHECK_EQ(burst(&r, key_of(1), START + 2 * SECOND, 10), kind == RATE_SLIDING_WINDOW ? 0 : 1);
    }
}

TEST(as_many_keys_as_asked_for_are_told_apart)
{
    struct rate_plan plan;
    struct rate_verdict v;
    struct rate_table r =
        make_rate(&plan, (struct rate_spec){RATE_TOKEN_BUCKET, .count = 1, .period_ms = 60000,
                                            .burst = 1, .entries = 20000});
    uint32_t forgotten = 0;
    for (uint64_t i = 0; i < 20000; i++)
        CHECK(rate_take(&r, key_of(i), START, &v));
    for (uint64_t i = 0; i < 20000; i++)
        forgotten += rate_peek(&r, key_of(i), START, &v);
    CHECK(forgotten < 20000 / 25); /* of 8 places in a bucket, 5.3 are used on average */
}

TEST(idle_keys_make_room_without_being_missed)
{
    struct rate_plan plan;
    struct rate_verdict v;
    struct rate_table r =
        make_rate(&plan, (struct rate_spec){RATE_TOKEN_BUCKET, .count = 10, .period_ms = 1000,
                                            .burst = 10, .entries = 8});
    for (uint64_t i = 0; i < 10000; i++) {
        CHECK(rate_take(&r, key_of(i), START + i * SECOND, &v));
        CHECK(!v.evicted);
        CHECK_EQ(v.remaining, 9);
    }
}

/* ---- several processes ---- */

static struct {
    struct rate_plan plan;
    struct rate_table table;
    struct shared {
        atom32 go, allowed, started;
    } * shared;
} many;

static void compete(uint32_t n)
{
    struct rate_verdict v;
    atomic_fetch_add(&many.shared->started, 1);
    await(&many.shared->go, 1);
    for (uint32_t i = 0; i < 5000; i++)
        if (rate_take(&many.table, key_of(1), START + i % 7 + n, &v))
            atomic_fetch_add(&many.shared->allowed, 1);
}

static void compete_exactly(struct rate_spec spec, uint32_t most)
{
    many.table = make_rate(&many.plan, spec);
    many.shared = shared_page();
    for (uint32_t i = 0; i < 4; i++)
        start(compete, i);
    await(&many.shared->started, 4);
    atomic_store(&many.shared->go, 1);
    wait_all();
    CHECK_EQ(atomic_load(&many.shared->allowed), most);
}

TEST(four_processes_share_a_limit_exactly)
{
    compete_exactly((struct rate_spec){RATE_TOKEN_BUCKET, 1, RATE_PERIOD_MAX, 777, 0, false}, 777);
    compete_exactly((struct rate_spec){RATE_LEAKY_BUCKET, 1, RATE_PERIOD_MAX, 1, 0, false}, 1);
    compete_exactly((struct rate_spec){RATE_SLIDING_WINDOW, 20, RATE_PERIOD_MAX, 0, 0, false}, 20);
    compete_exactly((struct rate_spec){RATE_SLIDING_WINDOW, 777, RATE_PERIOD_MAX, 0, 0, false},
                    777);
}

static void hammer(uint32_t n UNUSED)
{
    struct rate_verdict v;
    for (uint64_t i = 0;; i++) {
        if (rate_take(&many.table, key_of(1), START, &v))
            atomic_fetch_add(&many.shared->allowed, 1);
        atomic_fetch_add(&many.shared->started, 1);
    }
}

TEST(a_killed_process_leaves_a_limit_that_still_limits)
{
    many.shared = shared_page();
    for (int kind = RATE_TOKEN_BUCKET; kind <= RATE_SLIDING_WINDOW; kind++) {
        many.table = make_rate(&many.plan, (struct rate_spec){(enum rate_algorithm)kind, 1000000,
                                                              RATE_PERIOD_MAX, 1000000, 0, false});
        atomic_store(&many.shared->allowed, 0);
        for (uint32_t i = 0; i < 20; i++) {
            uint32_t before = atomic_load(&many.shared->started);
            pid_t pid = start(hammer, 0);
            await(&many.shared->started, before + 1000);
            kill_and_wait(pid);
        }
        uint32_t more = burst(&many.table, key_of(1), START, 1000001);
        uint32_t before = atomic_load(&many.shared->allowed);
        /* each of the twenty may have been killed between taking and telling */
        CHECK(before + more <= 1000000 && before + more >= 1000000 - 20);
    }
}

/* ---- rows ---- */

static uint32_t acquire(struct table *t, const char *name, uint64_t fingerprint,
                        const struct rate_plan *plan)
{
    table_lock(t);
    uint32_t row = rate_acquire(t, name, fingerprint, plan);
    table_unlock(t);
    return row;
}

static void sweep(struct table *t, uint32_t keep)
{
    bool wanted[RATE_MAX] = {false};
    if (keep < RATE_MAX)
        wanted[keep] = true;
    table_lock(t);
    rate_sweep(t, wanted);
    table_unlock(t);
}

TEST(a_limit_keeps_its_row_while_it_says_the_same)
{
    struct table *t = make_table();
    struct rate_spec spec = {RATE_TOKEN_BUCKET, 1, RATE_PERIOD_MAX, 3, 100, false};
    struct rate_plan plan;
    rate_compile(&spec, &plan);
    uint32_t a = acquire(t, "listeners.web", 1, &plan), b = acquire(t, "pools.app", 1, &plan);
    CHECK(a != INDEX_NONE && b != INDEX_NONE && a != b);
    struct rate_table ra = rate_open(t, a, &plan), rb = rate_open(t, b, &plan);
    CHECK_EQ(burst(&ra, key_of(1), START, 9), 3);
    CHECK_EQ(burst(&rb, key_of(1), START, 9), 3);
    CHECK_EQ(acquire(t, "listeners.web", 1, &plan), a);
    sweep(t, b);
    uint32_t c = acquire(t, "listeners.web", 2, &plan);
    struct rate_table rc = rate_open(t, c, &plan);
    CHECK_EQ(c, a); /* the row again, and nothing of what was there */
    CHECK_EQ(burst(&rc, key_of(1), START, 9), 3);
    CHECK_EQ(burst(&rb, key_of(1), START, 9), 0);
}

TEST(limits_share_the_heap)
{
    struct table *t = make_table();
    struct rate_spec spec = {RATE_SLIDING_WINDOW, 50, 60000, 0, 200, false};
    struct rate_plan plan;
    rate_compile(&spec, &plan);
    char name[32];
    uint32_t rows[40];
    for (uint32_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(name, sizeof name, "limit %u", i);
        rows[i] = acquire(t, name, 1, &plan);
        CHECK(rows[i] != INDEX_NONE);
        struct rate_table r = rate_open(t, rows[i], &plan);
        CHECK_EQ(burst(&r, key_of(1), START, 60), 50);
    }
    for (uint32_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rate_table r = rate_open(t, rows[i], &plan);
        CHECK_EQ(burst(&r, key_of(1), START, 60), 0);
    }
    spec.entries = 10000000;
    rate_compile(&spec, &plan);
    CHECK_EQ(acquire(t, "too large", 1, &plan), INDEX_NONE);
    CHECK_EQ(errno, ENOSPC);
    sweep(t, INDEX_NONE);
    for (uint32_t i = 0; i < RATE_MAX; i++) {
        snprintf(name, sizeof name, "limit %u", i);
        spec.entries = 8;
        rate_compile(&spec, &plan);
        CHECK(acquire(t, name, 1, &plan) != INDEX_NONE);
    }
    CHECK_EQ(acquire(t, "one more", 1, &plan), INDEX_NONE);
}

TEST(the_onset_is_told_once)
{
    struct table *t = make_table();
    struct rate_spec spec = {RATE_TOKEN_BUCKET, 1, 1000, 3, 100, false};
    struct rate_plan plan;
    rate_compile(&spec, &plan);
    uint32_t row = acquire(t, "listeners.web", 1, &plan);
    uint32_t told = 0;
    for (uint64_t us = 0; us < 60 * SECOND; us += SECOND / 10)
        told += rate_onset(t, row, START + us);
    CHECK_EQ(told, 1);
    CHECK(rate_onset(t, row, START + 80 * SECOND));
}
