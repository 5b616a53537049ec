/* max_load: a hash algorithm that gives nobody more than a bounded share. */
#include "tests/unit/harness.h"
#include "tests/unit/worker/lb_fixture.h"

#define MEMBERS 8u

static const char *const names[] = {"consistent_hash", "maglev", "ip_hash", "url_hash"};

static void open_pool(struct fixture *f, const char *algorithm, uint32_t *e,
                      const uint32_t *weights)
{
    *f = (struct fixture){0};
    fixture_open(f);
    for (unsigned i = 0; i < MEMBERS; i++)
        e[i] = fixture_add(f, weights ? weights[i] : 1, false);
    fixture_view(f, algorithm);
}

static void close_pool(struct fixture *f)
{
    lb_view_free(&f->view);
    table_close(&f->table);
}

static uint32_t select_key(struct fixture *f, uint64_t key)
{
    struct lb_request r = {.key = hash_mix64(key)};
    if (lb_view_refresh(&f->view, 0) == -1)
        exit(1);
    return f->view.algorithm->select(&f->view, &r);
}

static bool take(struct fixture *f, uint32_t entry, uint32_t slot)
{
    return pool_reserve(&f->table, f->pool, slot) &&
           entry_reserve(&f->table, entry, word_get(&entry_at(&f->table, entry)->incarnation),
                         slot);
}

static uint64_t bound(uint64_t all, uint64_t weight, uint64_t weights, uint64_t milli)
{
    return (milli * all * weight + 1000 * weights - 1) / (1000 * weights);
}

static void check_bounds(struct fixture *f, const uint32_t *e, uint64_t all, uint64_t milli)
{
    uint64_t weights = 0;
    for (unsigned i = 0; i < MEMBERS; i++)
        weights += entry_weight(entry_at(&f->table, e[i]));
    for (unsigned i = 0; i < MEMBERS; i++)
        CHECK(entry_inflight(&f->table, e[i]) <=
              bound(all, entry_weight(entry_at(&f->table, e[i])), weights, milli));
}

/* Random keys, half of them the same one; nobody passes the bound, ever. */
TEST(nobody_gets_more_than_the_bound)
{
    static const uint32_t weights[MEMBERS] = {1, 1, 1, 1, 3, 3, 9, 1};
    for (unsigned a = 0; a < 2 * ARRAY_LEN(names); a++) {
        struct fixture f;
        uint32_t e[MEMBERS];
        uint64_t milli = a % 2 ? 1010 : 1250;
        open_pool(&f, names[a / 2], e, a % 2 ? weights : NULL);
        pool_set_max_load(&f.table, f.pool, (uint32_t)milli);
        srand(3);
        for (uint64_t n = 1; n <= 2000; n++) {
            uint32_t entry = select_key(&f, rand() % 2 ? 7 : (uint64_t)rand());
            CHECK(entry != INDEX_NONE && take(&f, entry, (uint32_t)n % 4));
            CHECK(lb_has_room(&f.view, &(struct lb_request){.placed = true}, entry, 0));
            check_bounds(&f, e, n, milli);
        }
        CHECK_EQ(pool_inflight(&f.table, f.pool), 2000);
        close_pool(&f);
    }
}

/* A key leaves its backend only while that one is over its share. */
TEST(a_key_stays_where_there_is_room)
{
    for (unsigned a = 0; a < ARRAY_LEN(names); a++) {
        struct fixture f;
        uint32_t e[MEMBERS], held = 0;
        open_pool(&f, names[a], e, NULL);
        uint32_t home = select_key(&f, 7);
        pool_set_max_load(&f.table, f.pool, 1500);
        CHECK_EQ(select_key(&f, 7), home);
        for (unsigned i = 0; i < MEMBERS; i++) /* three each: the share of the next is 4.7 */
            for (unsigned n = 0; n < 3; n++)
                CHECK(take(&f, e[i], 0));
        while (select_key(&f, 7) == home) {
            CHECK(take(&f, home, 1));
            held++;
        }
        CHECK(held >= 2 && held <= 3);
        uint32_t other = select_key(&f, 7);
        CHECK(other != INDEX_NONE && other != home);
        CHECK_EQ(select_key(&f, 7), other); /* and always the same other one */
        entry_release(&f.table, home, 1);
        pool_release(&f.table, f.pool, 1);
        CHECK_EQ(select_key(&f, 7), home);
        close_pool(&f);
    }
}

TEST(without_room_anywhere_the_request_still_finds_somebody)
{
    struct fixture f;
    uint32_t e[MEMBERS];
    open_pool(&f, "consistent_hash", e, NULL);
    pool_set_max_load(&f.table, f.pool, 1001);
    struct lb_request r = {.key = 7};
    for (unsigned i = 1; i < MEMBERS; i++)
        r.tried[r.tried_count++] = e[i];
    for (unsigned n = 0; n < 3; n++)
        CHECK(take(&f, e[0], 0)); /* far above its share, and the only one left */
    CHECK(!lb_has_room(&f.view, &r, e[0], 1));
    CHECK_EQ(f.view.algorithm->select(&f.view, &r), e[0]);
    close_pool(&f);
}
