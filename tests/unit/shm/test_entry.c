/* Backends: membership, the three words, places in flight, reuse of rows. */
#include "tests/unit/shm/fixture.h"

static char *names_of(struct table *t, uint32_t pool)
{
    static char text[256];
    uint32_t out[64];
    text[0] = 0;
    uint32_t count = entry_members(t, pool, out, ARRAY_LEN(out));
    for (uint32_t i = 0; i < count; i++)
        strcat(text, entry_at(t, out[i])->name);
    CHECK_EQ(word_get(&pool_at(t, pool)->count), count);
    return text;
}

TEST(members_keep_their_order)
{
    struct table *t = make_table();
    uint32_t one = make_pool(t, "one"), two = make_pool(t, "two");
    uint32_t a = make_entry(t, one, "a", 0), x = make_entry(t, two, "x", 0);
    uint32_t b = make_entry(t, one, "b", 0), c = make_entry(t, one, "c", 0);
    CHECK_STR(names_of(t, one), "abc");
    CHECK_STR(names_of(t, two), "x");
    CHECK_EQ(entry_find(t, one, "b"), b);
    CHECK_EQ(entry_find(t, two, "b"), INDEX_NONE);
    remove_entry(t, b);
    CHECK_STR(names_of(t, one), "ac");
    CHECK_EQ(entry_find(t, one, "b"), INDEX_NONE);
    remove_entry(t, c);
    make_entry(t, one, "d", 0);
    CHECK_STR(names_of(t, one), "ad");
    remove_entry(t, a);
    remove_entry(t, x);
    CHECK_STR(names_of(t, one), "d");
    CHECK_STR(names_of(t, two), "");
    make_entry(t, two, "y", 0);
    CHECK_STR(names_of(t, two), "y");
}

TEST(a_cut_is_seen_once_and_by_everybody)
{
    struct table *t = make_table();
    uint32_t pool = make_pool(t, "app");
    uint32_t a = make_entry(t, pool, "a", 0), b = make_entry(t, pool, "b", 0);
    uint32_t before = word_get(&t->header->cuts);
    CHECK(!entry_is_cut(entry_at(t, a), before));
    entry_cut(t, a);
    CHECK(entry_is_cut(entry_at(t, a), before));
    CHECK(!entry_is_cut(entry_at(t, b), before));
    uint32_t seen = word_get(&t->header->cuts);
    CHECK(!entry_is_cut(entry_at(t, a), seen));
    entry_cut(t, b);
    CHECK(!entry_is_cut(entry_at(t, a), seen));
    CHECK(entry_is_cut(entry_at(t, b), seen));
}

TEST(the_number_of_cuts_goes_round)
{
    struct table *t = make_table();
    uint32_t a = make_entry(t, make_pool(t, "app"), "a", 0);
    word_set(&t->header->cuts, UINT32_MAX);
    CHECK(!entry_is_cut(entry_at(t, a), UINT32_MAX));
    entry_cut(t, a);
    CHECK(entry_is_cut(entry_at(t, a), UINT32_MAX));
    CHECK(!entry_is_cut(entry_at(t, a), word_get(&t->header->cuts)));
}

TEST(members_fit_the_room_given)
{
    struct table *t = make_table();
    uint32_t pool = make_pool(t, "app"), out[2];
    make_entry(t, pool, "a", 0);
    make_entry(t, pool, "b", 0);
    make_entry(t, pool, "c", 0);
    CHECK_EQ(entry_members(t, pool, out, 2), 2);
    CHECK_EQ(entry_members(t, pool, out, 0), 0);
}

TEST(a_new_backend)
{
    struct table *t = make_table();
    uint32_t pool = make_pool(t, "app"), membership = word_get(&t->header->membership);
    uint32_t change = word_get(&pool_at(t, pool)->change);
    struct entry *e = entry_at(t, make_entry(t, pool, "a", 5));
    CHECK_STR(e->name, "a");
    CHECK_STR(e->endpoint, "127.0.0.1:9");
    CHECK_EQ(word_get(&e->incarnation), 1);
    CHECK_EQ(word_get(&e->mode), MODE_ENABLED);
    CHECK_EQ(word_get(&e->health), HEALTH_UNKNOWN);
    CHECK_EQ(entry_weight(e), 1);
    CHECK(entry_usable(e));
    CHECK_EQ(entry_status(e), STATUS_UNKNOWN);
    CHECK(word_get(&t->header->membership) > membership);
    CHECK(word_get(&pool_at(t, pool)->change) > change);
}

TEST(the_three_words_decide_together)
{
    struct table *t = make_table();
    uint32_t pool = make_pool(t, "app"), id = make_entry(t, pool, "a", 0);
    struct entry *e = entry_at(t, id);
    CHECK(entry_set_health(t, id, HEALTH_HEALTHY));
    CHECK(!entry_set_health(t, id, HEALTH_HEALTHY)); /* no change */
    CHECK(entry_usable(e) && entry_status(e) == STATUS_HEALTHY);
    entry_set_mode(t, id, MODE_MAINTENANCE);
    CHECK(!entry_usable(e) && entry_status(e) == STATUS_MAINTENANCE);
    CHECK(entry_set_health(t, id, HEALTH_UNHEALTHY));
    CHECK(entry_set_health(t, id, HEALTH_HEALTHY)); /* a passing check does not undo maintenance */
    CHECK(!entry_usable(e) && entry_status(e) == STATUS_MAINTENANCE);
    entry_set_mode(t, id, MODE_DRAINING);
    CHECK(!entry_usable(e) && entry_status(e) == STATUS_DRAINING);
    entry_set_mode(t, id, MODE_ENABLED);
    CHECK(entry_usable(e));
    CHECK(entry_set_health(t, id, HEALTH_UNHEALTHY));
    CHECK(!entry_usable(e) && entry_status(e) == STATUS_UNHEALTHY);
    CHECK(entry_set_health(t, id, HEALTH_HEALTHY));
    atomic_store(&e->breaker, BREAKER_OPEN | 77u << 8);
    CHECK(!entry_usable(e) && entry_status(e) == STATUS_UNHEALTHY);
    atomic_store(&e->breaker, BREAKER_HALF_OPEN | 77u << 8);
    CHECK(entry_usable(e));
    atomic_store(&e->breaker, BREAKER_CLOSED);
    entry_set_weight_override(t, id, 0);
    CHECK(!entry_usable(e));
    CHECK_EQ(entry_weight(e), 0);
    entry_set_weight_override(t, id, UINT32_MAX);
    CHECK(entry_usable(e));
    remove_entry(t, id);
    CHECK(!entry_usable(e));
}

TEST(changes_of_a_word_touch_the_pool)
{
    struct table *t = make_table();
    uint32_t pool = make_pool(t, "app"), id = make_entry(t, pool, "a", 0);
    const atom32 *change = &pool_at(t, pool)->change;
    uint32_t was = word_get(change);
    entry_set_mode(t, id, MODE_DRAINING);
    CHECK_EQ(word_get(change), was + 1);
    entry_set_weight_override(t, id, 3);
    CHECK_EQ(word_get(change), was + 2);
    CHECK(entry_set_health(t, id, HEALTH_HEALTHY));
    CHECK(!entry_set_health(t, id, HEALTH_HEALTHY));
    CHECK_EQ(word_get(change), was + 3);
}

TEST(a_reload_keeps_what_was_observed_and_overridden)
{
    struct table *t = make_table();
    uint32_t pool = make_pool(t, "app"), id = make_entry(t, pool, "a", 0);
    struct entry *e = entry_at(t, id);
    struct entry_spec spec = {
        .name = "a", .endpoint = "x", .weight = 9, .max_connections = 3, .backup = true};
    entry_set_mode(t, id, MODE_MAINTENANCE);
    entry_set_weight_override(t, id, 2);
    CHECK(entry_set_health(t, id, HEALTH_HEALTHY));
    table_lock(t);
    entry_configure(t, id, &spec);
    table_unlock(t);
    CHECK_EQ(word_get(&e->weight), 9);
    CHECK_EQ(word_get(&e->max_connections), 3);
    CHECK_EQ(word_get(&e->backup), 1);
    CHECK_EQ(entry_weight(e), 2);
    CHECK_EQ(word_get(&e->mode), MODE_MAINTENANCE);
    CHECK_EQ(word_get(&e->health), HEALTH_HEALTHY);
}

TEST(names_of_states)
{
    CHECK_STR(entry_status_name(STATUS_OVERLOADED), "overloaded");
    CHECK_STR(entry_status_name((enum entry_status)99), "unknown");
    CHECK_STR(entry_health_name(HEALTH_UNHEALTHY), "unhealthy");
    CHECK_STR(entry_mode_name(MODE_MAINTENANCE), "maintenance");
}

/* ---- places
 * -------------------------------------------------------------------------------------------------
 */

TEST(places_are_limited)
{
    struct table *t = make_table();
    make_workers(t, 3);
    uint32_t pool = make_pool(t, "app"), id = make_entry(t, pool, "a", 3);
    for (uint32_t slot = 0; slot < 3; slot++)
        CHECK(entry_reserve(t, id, 1, slot));
    CHECK(!entry_reserve(t, id, 1, 0));
    CHECK_EQ(entry_inflight(t, id), 3);
    CHECK_EQ(entry_status(entry_at(t, id)), STATUS_OVERLOADED);
    entry_release(t, id, 1);
    CHECK(entry_reserve(t, id, 1, 0));
    CHECK_EQ(entry_inflight(t, id), 3);
}

TEST(no_limit)
{
    struct table *t = make_table();
    make_workers(t, 1);
    uint32_t pool = make_pool(t, "app"), id = make_entry(t, pool, "a", 0);
    for (int i = 0; i < 5000; i++)
        CHECK(entry_reserve(t, id, 1, 0));
    CHECK_EQ(entry_inflight(t, id), 5000);
    CHECK_EQ(entry_status(entry_at(t, id)), STATUS_UNKNOWN);
}

TEST(no_place_on_another_incarnation_or_a_removed_row)
{
    struct table *t = make_table();
    make_workers(t, 1);
    uint32_t pool = make_pool(t, "app"), id = make_entry(t, pool, "a", 0);
    CHECK(!entry_reserve(t, id, 2, 0));
    CHECK(entry_reserve(t, id, 1, 0));
    remove_entry(t, id);
    CHECK(!entry_reserve(t, id, 1, 0));
    CHECK_EQ(entry_inflight(t, id), 1);
    CHECK_EQ(entry_sweep(t), 0); /* one is still in flight */
    entry_release(t, id, 0);
    CHECK_EQ(entry_sweep(t), 1);
    CHECK_EQ(entry_sweep(t), 0);
    CHECK(!entry_reserve(t, id, 1, 0));
    CHECK_EQ(entry_inflight(t, id), 0);
}

#define HAMMERS 8
#define LIMIT   10

static struct {
    atom32 holding, highest, taken, refused;
} * seen;

static void note_highest(uint32_t now)
{
    uint32_t old = atomic_load(&seen->highest);
    while (now > old && !atomic_compare_exchange_weak(&seen->highest, &old, now))
        ;
}

static void hammer(uint32_t slot)
{
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t held = 0;
        while (held < 1 + i % 4 && entry_reserve(&table, 0, 1, slot)) {
            held++;
            note_highest(atomic_fetch_add(&seen->holding, 1) + 1);
        }
        atomic_fetch_add(held ? &seen->taken : &seen->refused, 1);
        for (; held > 0; held--) {
            atomic_fetch_sub(&seen->holding, 1);
            entry_release(&table, 0, slot);
        }
    }
}

TEST(the_limit_is_exact_across_processes)
{
    struct table *t = make_table();
    make_workers(t, HAMMERS);
    CHECK_EQ(make_entry(t, make_pool(t, "app"), "a", LIMIT), 0);
    seen = shared_page();
    for (uint32_t slot = 0; slot < HAMMERS; slot++)
        start(hammer, slot);
    wait_all();
    CHECK(atomic_load(&seen->highest) <= LIMIT);
    CHECK(atomic_load(&seen->taken) > 0);
    CHECK_EQ(atomic_load(&seen->holding), 0);
    CHECK_EQ(entry_inflight(t, 0), 0);
    for (int i = 0; i < LIMIT; i++)
        CHECK(entry_reserve(t, 0, 1, 0));
    CHECK(!entry_reserve(t, 0, 1, 1));
}

/* Holds the place, or leaves it alone, for a little while of ever different length. */
static void linger(uint64_t n)
{
    for (uint64_t i = hash_mix64(n + (uint64_t)getpid()) % 64; i > 0; i--)
        (void)atomic_load(&seen->refused);
}

static void race(uint32_t slot)
{
    for (uint64_t i = 0; i < 300000; i++, linger(i)) {
        if (!entry_reserve(&table, 0, 1, slot))
            continue;
        note_highest(atomic_fetch_add(&seen->holding, 1) + 1);
        linger(i);
        atomic_fetch_sub(&seen->holding, 1);
        entry_release(&table, 0, slot);
    }
}

/* With one place and two processes each try is a race for the last one: a take that the other does
 * not see yet shows here. */
TEST(two_never_get_the_one_place)
{
    struct table *t = make_table();
    make_workers(t, 2);
    CHECK_EQ(make_entry(t, make_pool(t, "app"), "a", 1), 0);
    seen = shared_page();
    start(race, 0);
    start(race, 1);
    wait_all();
    CHECK_EQ(atomic_load(&seen->highest), 1);
}

static void take_and_wait(uint32_t slot)
{
    for (int i = 0; i < 3; i++)
        CHECK(entry_reserve(&table, 0, 1, slot));
    atomic_fetch_add(&seen->taken, 1);
    for (;;)
        pause();
}

TEST(a_killed_workers_places_come_back_with_its_lane)
{
    struct table *t = make_table();
    make_workers(t, 2);
    uint32_t pool = make_pool(t, "app");
    CHECK_EQ(make_entry(t, pool, "a", 5), 0);
    seen = shared_page();
    CHECK(entry_reserve(t, 0, 1, 0));
    pid_t pid = start(take_and_wait, 1);
    await(&seen->taken, 1);
    CHECK_EQ(entry_inflight(t, 0), 4);
    kill_and_wait(pid);
    uint32_t change = word_get(&pool_at(t, pool)->change);
    slot_reclaim(t, 1);
    CHECK_EQ(entry_inflight(t, 0), 1);
    CHECK(word_get(&pool_at(t, pool)->change) != change);
    for (int i = 0; i < 4; i++)
        CHECK(entry_reserve(t, 0, 1, 0));
    CHECK(!entry_reserve(t, 0, 1, 0));
}

/* ---- rows again
 * --------------------------------------------------------------------------------------------- */

/* Lets freed rows look as if they had rested. */
static void let_rest(struct table *t)
{
    for (uint32_t i = 0; i < word_get(&t->header->entries_high); i++)
        atomic_store(&entry_at(t, i)->freed_us, 0);
}

TEST(a_rested_row_is_used_again_clean)
{
    struct table *t = make_table();
    make_workers(t, 2);
    uint32_t pool = make_pool(t, "app"), id = make_entry(t, pool, "a", 0);
    count_add(&table_cell(t, 1, id)->requests, 7);
    count_add(&table_cell(t, 1, id)->histo[HISTO_BUCKETS - 1], 7);
    CHECK(entry_set_health(t, id, HEALTH_UNHEALTHY));
    entry_set_mode(t, id, MODE_DRAINING);
    entry_set_weight_override(t, id, 4);
    remove_entry(t, id);
    CHECK_EQ(make_entry(t, pool, "b", 0), id + 1); /* not swept yet */
    CHECK_EQ(entry_sweep(t), 1);
    CHECK_EQ(make_entry(t, pool, "c", 0), id + 2); /* not rested yet */
    let_rest(t);
    CHECK_EQ(make_entry(t, pool, "d", 0), id);
    struct entry *e = entry_at(t, id);
    CHECK_EQ(word_get(&e->incarnation), 2);
    CHECK_EQ(word_get(&e->health), HEALTH_UNKNOWN);
    CHECK_EQ(word_get(&e->mode), MODE_ENABLED);
    CHECK_EQ(entry_weight(e), 1);
    CHECK_EQ(count_cell_sum(t, id, offsetof(struct cell, requests)), 0);
    CHECK_EQ(count_get(&table_cell(t, 1, id)->histo[HISTO_BUCKETS - 1]), 0);
    CHECK(!entry_reserve(t, id, 1, 0));
    CHECK(entry_reserve(t, id, 2, 0));
    CHECK_EQ(word_get(&t->header->entries_free), 0);
    CHECK_STR(names_of(t, pool), "bcd");
}

TEST(the_table_fills_up_and_reuses_unrested_rows_then)
{
    struct table *t = make_table();
    uint32_t pool = make_pool(t, "app"), id = 0;
    for (uint32_t i = 0; i < ENTRY_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "b%u", i);
        id = make_entry(t, pool, name, 0);
    }
    CHECK_EQ(id, ENTRY_MAX - 1);
    CHECK_EQ(try_entry(t, pool, "more", 0), INDEX_NONE);
    CHECK_EQ(errno, ENOSPC);
    remove_entry(t, id);
    CHECK_EQ(try_entry(t, pool, "more", 0), INDEX_NONE);
    CHECK_EQ(entry_sweep(t), 1);
    CHECK_EQ(try_entry(t, pool, "more", 0), id);
}

/* ---- readers beside a writer
 * -------------------------------------------------------------------------------- */

static void churn(uint32_t pool)
{
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t x = make_entry(&table, pool, "x", 0), y = make_entry(&table, pool, "y", 0);
        remove_entry(&table, x);
        remove_entry(&table, y);
        entry_sweep(&table);
        if (i % 50 == 0)
            let_rest(&table);
    }
    atomic_store(&seen->taken, 1);
}

TEST(a_snapshot_is_consistent_beside_a_writer)
{
    struct table *t = make_table();
    uint32_t pool = make_pool(t, "app"), first = make_entry(t, pool, "a", 0), out[8];
    uint32_t last = make_entry(t, pool, "b", 0);
    seen = shared_page();
    start(churn, pool);
    while (!atomic_load(&seen->taken)) {
        uint32_t count = entry_members(t, pool, out, ARRAY_LEN(out));
        CHECK(count >= 2 && count <= 4);
        CHECK_EQ(out[0], first);
        CHECK_EQ(out[1], last);
        for (uint32_t i = 2; i < count; i++)
            CHECK(out[i] != first && out[i] != last && (i == 2 || out[2] != out[3]));
        CHECK(pool_has_usable(t, pool));
    }
    wait_all();
}
