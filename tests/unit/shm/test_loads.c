/* The tournament of loads: whatever happens to members, it names one that nobody beats. */
#include <math.h>
#include <stdlib.h>
#include "shm/loads.h"
#include "tests/unit/shm/fixture.h"

#define PROCESSES 4u

static uint32_t pool;

static void set_kind(enum loads_kind kind)
{
    table_lock(&table);
    loads_set_kind(&table, pool, kind);
    table_unlock(&table);
}

static void open_pool(enum loads_kind kind, uint32_t workers)
{
    make_table();
    make_workers(&table, workers);
    pool = make_pool(&table, "p");
    set_kind(kind);
}

static uint32_t add(uint32_t weight)
{
    static unsigned number;
    char name[32];
    snprintf(name, sizeof name, "b%u", number++);
    uint32_t e = make_entry(&table, pool, name, 0);
    entry_set_weight_override(&table, e, weight);
    entry_set_health(&table, e, HEALTH_HEALTHY);
    return e;
}

static bool reserve(uint32_t entry, uint32_t slot)
{
    return entry_reserve(&table, entry, word_get(&entry_at(&table, entry)->incarnation), slot);
}

/* Which of a pool's members, but the tried ones, may be named: the best rank, then score. */
struct best {
    unsigned rank;
    float score;
    bool any;
};

static bool is_tried(uint32_t entry, const uint32_t *tried, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (tried[i] == entry)
            return true;
    return false;
}

static struct best look_at_all(enum loads_kind kind, const uint32_t *tried, uint32_t tried_count)
{
    static uint32_t ids[ENTRY_MAX];
    struct best b = {.rank = UINT32_MAX};
    uint32_t n = entry_members(&table, pool, ids, ENTRY_MAX);
    for (uint32_t i = 0; i < n; i++) {
        float score = loads_score(&table, ids[i], kind);
        unsigned rank = entry_rank(entry_at(&table, ids[i]));
        if (score < 0 || is_tried(ids[i], tried, tried_count))
            continue;
        if (!b.any || rank < b.rank || (rank == b.rank && score < b.score))
            b = (struct best){rank, score, true};
    }
    return b;
}

static void check_least(enum loads_kind kind, const uint32_t *tried, uint32_t tried_count)
{
    uint32_t entry = INDEX_NONE;
    struct best b = look_at_all(kind, tried, tried_count);
    enum loads_found found = loads_least(&table, pool, tried, tried_count, &entry);
    if (!b.any) {
        CHECK_EQ(found, LOADS_UNKNOWN);
    } else if (isinf(b.score)) {
        CHECK_EQ(found, LOADS_FULL);
    } else {
        CHECK_EQ(found, LOADS_FOUND);
        CHECK(!is_tried(entry, tried, tried_count));
        CHECK_EQ(entry_rank(entry_at(&table, entry)), b.rank);
        CHECK(loads_score(&table, entry, kind) == b.score); /* the very same computation */
    }
}

static void check_some(enum loads_kind kind)
{
    uint32_t tried[16], count = (uint32_t)rand() % 17, high = word_get(&table.header->entries_high);
    check_least(kind, NULL, 0);
    for (uint32_t i = 0; i < count; i++)
        tried[i] = (uint32_t)rand() % high;
    check_least(kind, tried, count);
}

/* ---- one process --------------------------------------------------------------------------- */

static void change_something(uint32_t entry, uint32_t *held)
{
    const struct entry *e = entry_at(&table, entry);
    if (word_get(&e->state) != ROW_LIVE)
        return;
    switch (rand() % 9) {
    case 0: entry_set_health(&table, entry, (enum entry_health)(rand() % 3)); break;
    case 1: entry_set_mode(&table, entry, (enum entry_mode)(rand() % 3)); break;
    case 2: entry_set_weight_override(&table, entry, (uint32_t)rand() % 5); break;
    case 3:
        if (*held == 0)
            remove_entry(&table, entry);
        break;
    case 4: add(1 + (uint32_t)rand() % 4); break;
    default:
        if (*held > 0 && rand() % 2) {
            entry_release(&table, entry, 1);
            *held -= 1;
        } else if (reserve(entry, 1)) {
            *held += 1;
        }
    }
    loads_refresh(&table, pool);
}

TEST(names_one_that_nobody_beats_whatever_changes)
{
    static uint32_t held[ENTRY_MAX];
    srand(5);
    open_pool(LOADS_WEIGHTED, PROCESSES);
    for (int i = 0; i < 20; i++)
        add(1);
    for (int step = 0; step < 30000; step++) {
        uint32_t entry = (uint32_t)rand() % word_get(&table.header->entries_high);
        change_something(entry, &held[entry]);
        if (word_get(&table.pools[pool].count) > 600) {
            for (uint32_t i = 0; i < 400; i++)
                if (held[i] == 0 && word_get(&entry_at(&table, i)->state) == ROW_LIVE)
                    remove_entry(&table, i);
            loads_refresh(&table, pool);
        }
        if (step % 10 == 0)
            check_some(LOADS_WEIGHTED);
    }
}

TEST(grows_to_all_the_table_holds_and_shrinks)
{
    srand(6);
    open_pool(LOADS_COUNT, 1);
    for (uint32_t n = 1; n <= ENTRY_MAX; n++) {
        uint32_t e = add(1);
        if ((n & (n - 1)) == 0 || (n & (n - 1)) == 1 || n == ENTRY_MAX) {
            loads_refresh(&table, pool);
            CHECK(reserve(e, 0));
            check_some(LOADS_COUNT);
        }
    }
    table_lock(&table);
    for (uint32_t e = 0; e < ENTRY_MAX; e++)
        if (e % 1000)
            entry_remove(&table, e);
    table_unlock(&table);
    loads_refresh(&table, pool);
    check_some(LOADS_COUNT);
    (void)entry_sweep(&table);
    uint32_t fresh = add(1); /* takes a free place */
    loads_refresh(&table, pool);
    CHECK(word_get(&entry_at(&table, fresh)->leaf) <= ENTRY_MAX);
    check_some(LOADS_COUNT);
}

TEST(a_change_of_kind_keeps_and_gives_back_places)
{
    open_pool(LOADS_NONE, PROCESSES);
    uint32_t a = add(3), b = add(1), entry;
    CHECK_EQ(loads_least(&table, pool, NULL, 0, &entry), LOADS_UNKNOWN);
    CHECK(reserve(a, 0)); /* held over the changes */
    set_kind(LOADS_COUNT);
    loads_refresh(&table, pool);
    CHECK_EQ(loads_least(&table, pool, NULL, 0, &entry), LOADS_FOUND);
    CHECK_EQ(entry, b);
    CHECK(reserve(b, 0));
    entry_set_health(&table, a, HEALTH_HEALTHY);
    set_kind(LOADS_WEIGHTED);
    loads_refresh(&table, pool);
    CHECK_EQ(loads_least(&table, pool, NULL, 0, &entry), LOADS_FOUND);
    CHECK_EQ(entry, a);
    set_kind(LOADS_NONE);
    CHECK_EQ(word_get(&entry_at(&table, a)->leaf), 0);
    CHECK_EQ(loads_least(&table, pool, NULL, 0, &entry), LOADS_UNKNOWN);
    entry_release(&table, a, 0);
    entry_release(&table, b, 0);
    CHECK_EQ(entry_inflight(&table, a) + entry_inflight(&table, b), 0);
}

static uint32_t request(void)
{
    uint32_t entry = INDEX_NONE;
    loads_refresh(&table, pool);
    CHECK_EQ(loads_least(&table, pool, NULL, 0, &entry), LOADS_FOUND);
    CHECK(reserve(entry, 0));
    entry_release(&table, entry, 0);
    return entry;
}

/* Over any prefix a member's share is within two and a half turns of its weight's. */
TEST(idle_members_take_turns_in_proportion_to_weight)
{
    static const uint32_t weights[] = {5, 3, 1, 1, 256, 17};
    uint32_t e[ARRAY_LEN(weights)], sum = 0;
    double counts[ENTRY_MAX] = {0};
    open_pool(LOADS_WEIGHTED, PROCESSES);
    for (unsigned i = 0; i < ARRAY_LEN(weights); i++) {
        e[i] = add(weights[i]);
        sum += weights[i];
    }
    for (unsigned n = 1; n <= 20 * sum; n++) {
        counts[request()]++;
        for (unsigned i = 0; i < ARRAY_LEN(weights); i++)
            CHECK(fabs(counts[e[i]] - (double)n * weights[i] / sum) <= 2.5);
    }
}

/* Past the place where positions in line wrap round, and where they are brought along. */
TEST(turns_stay_even_when_positions_wrap)
{
    unsigned counts[ENTRY_MAX] = {0};
    open_pool(LOADS_COUNT, PROCESSES);
    uint32_t e[3] = {add(1), add(1), add(1)};
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < 30; i++)
            counts[request()]++;
        for (unsigned i = 0; i < 3; i++)
            CHECK_EQ(counts[e[i]], 10 * (round + 1));
        /* as after a hundred thousand requests to each */
        atomic_fetch_add(&table.pools[pool].turn, (uint64_t)3 << 26);
        pool_touch(&table, pool);
        for (unsigned i = 0; i < 3; i++)
            loads_update(&table, e[i], false);
    }
}

TEST(one_that_was_busy_for_long_gets_no_burst)
{
    open_pool(LOADS_COUNT, PROCESSES);
    uint32_t slow = add(1), others[2] = {add(1), add(1)};
    CHECK(reserve(slow, 1));
    for (int i = 0; i < 1000; i++)
        CHECK(request() != slow);
    entry_release(&table, slow, 1);
    unsigned counts[ENTRY_MAX] = {0};
    for (int i = 0; i < 30; i++)
        counts[request()]++;
    CHECK(counts[slow] <= 11);
    CHECK(counts[others[0]] >= 9 && counts[others[1]] >= 9);
}

TEST(members_at_their_limit_are_full_until_a_place_is_free)
{
    uint32_t entry;
    open_pool(LOADS_COUNT, PROCESSES);
    uint32_t e[2] = {add(1), add(1)};
    for (unsigned i = 0; i < 2; i++)
        word_set(&entry_at(&table, e[i])->max_connections, 2);
    for (unsigned i = 0; i < 4; i++) {
        loads_refresh(&table, pool);
        CHECK_EQ(loads_least(&table, pool, NULL, 0, &entry), LOADS_FOUND);
        CHECK(reserve(entry, i % 2));
    }
    CHECK_EQ(loads_least(&table, pool, NULL, 0, &entry), LOADS_FULL);
    CHECK(!reserve(e[0], 2)); /* leaves nothing behind */
    entry_release(&table, e[1], 1);
    CHECK_EQ(loads_least(&table, pool, NULL, 0, &entry), LOADS_FOUND);
    CHECK_EQ(entry, e[1]);
}

/* ---- several ------------------------------------------------------------------------------- */

static uint32_t rounds;

static void churn(uint32_t slot)
{
    uint32_t held[8], n = 0, entry;
    srand(slot);
    for (uint32_t i = 0; i < rounds; i++) {
        if (n < ARRAY_LEN(held) && rand() % 2) {
            if (loads_least(&table, pool, NULL, 0, &entry) != LOADS_FOUND || rand() % 4 == 0)
                entry = (uint32_t)rand() % word_get(&table.header->entries_high);
            if (reserve(entry, slot))
                held[n++] = entry;
        } else if (n) {
            entry_release(&table, held[--n], slot);
        }
        if (i % 512 == 0)
            pool_touch(&table, pool);
        if (i % 64 == 0)
            loads_refresh(&table, pool);
    }
    if (slot % 2) /* the others leave with what they hold */
        while (n)
            entry_release(&table, held[--n], slot);
}

/* Nobody puts right afterwards what they left: it must be right by itself. */
TEST(is_right_when_several_processes_have_stopped)
{
    open_pool(LOADS_WEIGHTED, PROCESSES);
    for (unsigned i = 0; i < 70; i++)
        add(1 + i % 3);
    loads_refresh(&table, pool);
    rounds = 30000;
    for (uint32_t slot = 0; slot < PROCESSES; slot++)
        start(churn, slot);
    wait_all();
    for (int i = 0; i < 200; i++)
        check_some(LOADS_WEIGHTED);
}

TEST(is_right_again_when_a_killed_process_is_reclaimed)
{
    open_pool(LOADS_COUNT, PROCESSES);
    for (unsigned i = 0; i < 70; i++)
        add(1);
    loads_refresh(&table, pool);
    rounds = UINT32_MAX;
    for (unsigned round = 0; round < 30; round++) {
        uint64_t from = atomic_load(&table.pools[pool].turn);
        pid_t pid = start(churn, 1);
        while (atomic_load(&table.pools[pool].turn) - from < 1 + round * 13)
            sched_yield();
        kill_and_wait(pid);
        slot_reclaim(&table, 1);
        loads_refresh(&table, pool);
        for (uint32_t e = 0; e < 70; e++)
            CHECK_EQ(entry_inflight(&table, e), 0);
        for (int i = 0; i < 20; i++)
            check_some(LOADS_COUNT);
    }
}

static void hold_lock(uint32_t entry)
{
    table_lock(&table);
    entry_remove(&table, entry);
    word_set(&table_loads(&table, pool)->entries[3], 0); /* as if killed half-way through another */
    _exit(0);
}

TEST(places_are_given_anew_when_a_holder_of_the_lock_died)
{
    open_pool(LOADS_COUNT, PROCESSES);
    uint32_t e[20];
    for (unsigned i = 0; i < 20; i++)
        e[i] = add(1);
    start(hold_lock, e[5]);
    wait_all();
    for (unsigned i = 0; i < 20; i++)
        CHECK(i == 5 || reserve(e[i], 0));
    entry_set_mode(&table, e[7], MODE_MAINTENANCE);
    (void)add(1); /* takes the lock */
    loads_refresh(&table, pool);
    check_some(LOADS_COUNT);
    for (unsigned i = 0; i < 20; i++)
        CHECK(i == 5 || word_get(&entry_at(&table, e[i])->leaf) != 0);
}
