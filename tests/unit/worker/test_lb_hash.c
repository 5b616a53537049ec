/* The hash algorithms: who keeps a backend, who moves, and how even it is. */
#include "tests/unit/harness.h"
#include <math.h>
#include "tests/unit/worker/lb_fixture.h"

#define KEYS 20000u

static const char *const names[] = {"consistent_hash", "maglev", "ip_hash", "url_hash"};
/* Of all keys, the share that may move beside those that must: the ring moves none. */
static const double also_move[] = {0, 0.02, 0, 0};

static uint32_t pick_key(struct fixture *f, uint64_t key)
{
    struct lb_request r = {.key = hash_mix64(key + 1)};
    if (lb_view_refresh(&f->view, 0) == -1)
        exit(1);
    return f->view.algorithm->select(&f->view, &r);
}

static void place_all(struct fixture *f, uint32_t *out)
{
    for (uint32_t k = 0; k < KEYS; k++)
        out[k] = pick_key(f, k);
}

static void open_pool(struct fixture *f, const char *algorithm, uint32_t *entries, unsigned n)
{
    fixture_open(f);
    for (unsigned i = 0; i < n; i++)
        entries[i] = fixture_add(f, 1, false);
    fixture_view(f, algorithm);
}

static void close_pool(struct fixture *f)
{
    lb_view_free(&f->view);
    table_close(&f->table);
}

static void remove_entry(struct fixture *f, uint32_t entry)
{
    table_lock(&f->table);
    entry_remove(&f->table, entry);
    table_unlock(&f->table);
}

TEST(a_key_stays_where_it_is)
{
    for (unsigned a = 0; a < ARRAY_LEN(names); a++) {
        struct fixture f;
        uint32_t e[5], first[KEYS], again[KEYS];
        open_pool(&f, names[a], e, 5);
        place_all(&f, first);
        place_all(&f, again);
        CHECK(memcmp(first, again, sizeof first) == 0);
        close_pool(&f);
    }
}

TEST(a_new_backend_takes_its_share_and_nobody_else_moves)
{
    for (unsigned a = 0; a < ARRAY_LEN(names); a++) {
        struct fixture f;
        uint32_t e[9], before[KEYS], after[KEYS], to_new = 0, elsewhere = 0;
        open_pool(&f, names[a], e, 9);
        place_all(&f, before);
        uint32_t fresh = fixture_add(&f, 1, false);
        place_all(&f, after);
        for (uint32_t k = 0; k < KEYS; k++) {
            to_new += after[k] == fresh;
            elsewhere += after[k] != fresh && after[k] != before[k];
        }
        CHECK(fabs(to_new / (double)KEYS - 0.1) < 0.04);
        CHECK(elsewhere <= KEYS * also_move[a]);
        close_pool(&f);
    }
}

TEST(only_the_keys_of_a_removed_backend_move)
{
    for (unsigned a = 0; a < ARRAY_LEN(names); a++) {
        struct fixture f;
        uint32_t e[10], before[KEYS], after[KEYS], elsewhere = 0;
        open_pool(&f, names[a], e, 10);
        place_all(&f, before);
        remove_entry(&f, e[4]);
        place_all(&f, after);
        for (uint32_t k = 0; k < KEYS; k++) {
            CHECK(after[k] != e[4] && after[k] != INDEX_NONE);
            elsewhere += before[k] != e[4] && after[k] != before[k];
        }
        CHECK(elsewhere <= KEYS * also_move[a]);
        close_pool(&f);
    }
}

/* Without a new table: the failed one's keys spread over all others, nobody else's move, all
 * return. */
TEST(keys_of_a_failed_backend_spread_and_return)
{
    for (unsigned a = 0; a < ARRAY_LEN(names); a++) {
        struct fixture f;
        uint32_t e[10], before[KEYS], down[KEYS], back[KEYS];
        unsigned taken[ENTRY_MAX] = {0};
        open_pool(&f, names[a], e, 10);
        place_all(&f, before);
        entry_set_health(&f.table, e[2], HEALTH_UNHEALTHY);
        place_all(&f, down);
        entry_set_health(&f.table, e[2], HEALTH_HEALTHY);
        place_all(&f, back);
        CHECK(memcmp(before, back, sizeof before) == 0);
        for (uint32_t k = 0; k < KEYS; k++) {
            if (before[k] != e[2])
                CHECK_EQ(down[k], before[k]);
            else
                taken[down[k]]++;
        }
        CHECK_EQ(taken[e[2]], 0);
        for (unsigned i = 0; i < ARRAY_LEN(e); i++)
            CHECK(i == 2 || taken[e[i]] > KEYS / 10 / 9 / 4);
        close_pool(&f);
    }
}

TEST(shares_follow_weights)
{
    static const unsigned weights[] = {1, 2, 3, 4};
    for (unsigned a = 0; a < ARRAY_LEN(names); a++) {
        struct fixture f;
        uint32_t e[4], placed[KEYS];
        unsigned counts[ENTRY_MAX] = {0};
        fixture_open(&f);
        for (unsigned i = 0; i < 4; i++)
            e[i] = fixture_add(&f, weights[i], false);
        fixture_view(&f, names[a]);
        place_all(&f, placed);
        for (uint32_t k = 0; k < KEYS; k++)
            counts[placed[k]]++;
        for (unsigned i = 0; i < 4; i++)
            CHECK(fabs(counts[e[i]] / (KEYS * weights[i] / 10.0) - 1) < 0.25);
        close_pool(&f);
    }
}

TEST(a_new_weight_counts_once_the_lock_is_given_back)
{
    for (unsigned a = 0; a < ARRAY_LEN(names); a++) {
        struct fixture f;
        uint32_t e[3], before[KEYS], after[KEYS], kept = 0, had = 0;
        open_pool(&f, names[a], e, 3);
        place_all(&f, before);
        table_lock(&f.table);
        entry_set_weight_override(&f.table, e[0], 2);
        table_unlock(&f.table);
        place_all(&f, after);
        for (uint32_t k = 0; k < KEYS; k++) {
            had += before[k] == e[0];
            kept += before[k] == e[0] && after[k] == e[0];
        }
        CHECK(kept >= had - KEYS * also_move[a]);
        unsigned now = 0;
        for (uint32_t k = 0; k < KEYS; k++)
            now += after[k] == e[0];
        CHECK(fabs(now / (double)KEYS - 0.5) < 0.1);
        close_pool(&f);
    }
}

/* Two tables, filled in another order: as two hosts, or one after a restart. */
TEST(hosts_agree_by_name)
{
    for (unsigned a = 0; a < ARRAY_LEN(names); a++) {
        struct fixture f, g;
        uint32_t e[6];
        open_pool(&f, names[a], e, 6);
        fixture_open(&g);
        table_lock(&g.table);
        for (unsigned i = 6; i-- > 0;) {
            struct entry_spec spec = {
                .name = entry_at(&f.table, e[i])->name, .endpoint = "x", .weight = 1};
            uint32_t made = entry_add(&g.table, g.pool, &spec);
            CHECK(made != INDEX_NONE);
            entry_set_health(&g.table, made, HEALTH_HEALTHY);
        }
        table_unlock(&g.table);
        fixture_view(&g, names[a]);
        for (uint32_t k = 0; k < 2000; k++)
            CHECK_STR(entry_at(&f.table, pick_key(&f, k))->name,
                      entry_at(&g.table, pick_key(&g, k))->name);
        close_pool(&f);
        close_pool(&g);
    }
}

TEST(a_backup_waits_and_then_serves)
{
    for (unsigned a = 0; a < ARRAY_LEN(names); a++) {
        struct fixture f;
        fixture_open(&f);
        uint32_t primary = fixture_add(&f, 1, false), backup = fixture_add(&f, 1, true);
        fixture_view(&f, names[a]);
        for (uint32_t k = 0; k < 200; k++)
            CHECK_EQ(pick_key(&f, k), primary);
        entry_set_mode(&f.table, primary, MODE_DRAINING);
        for (uint32_t k = 0; k < 200; k++)
            CHECK_EQ(pick_key(&f, k), backup);
        entry_set_mode(&f.table, backup, MODE_MAINTENANCE);
        CHECK_EQ(pick_key(&f, 1), INDEX_NONE);
        close_pool(&f);
    }
}

/* As when the table could not be built: the keys still go somewhere, and always to the same. */
TEST(without_a_table_keys_still_have_a_place)
{
    for (unsigned a = 0; a < ARRAY_LEN(names); a++) {
        struct fixture f;
        uint32_t e[4], first[KEYS], again[KEYS];
        open_pool(&f, names[a], e, 4);
        table_lock(&f.table);
        hashtable_set_kind(&f.table, f.pool, HASHTABLE_NONE);
        table_unlock(&f.table);
        place_all(&f, first);
        place_all(&f, again);
        CHECK(memcmp(first, again, sizeof first) == 0);
        for (uint32_t k = 0; k < KEYS; k++)
            CHECK(first[k] != INDEX_NONE);
        close_pool(&f);
    }
}
