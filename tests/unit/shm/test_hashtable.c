/* Hash tables as bytes of the table: built once per change, placed without overlap, switched whole.
 */
#include "tests/unit/harness.h"
#include <stdio.h>
#include "shm/entry.h"
#include "shm/hashtable.h"
#include "shm/pool.h"

static struct table table;

static void open_table(void)
{
    char why[256] = "";
    if (table_create(&table, "", why, sizeof why) == -1) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
    table_unlink(&table);
}

static uint32_t add_pool(const char *name, enum hashtable_kind kind)
{
    uint32_t pool = pool_add(&table, name);
    CHECK(pool != INDEX_NONE);
    hashtable_set_kind(&table, pool, kind);
    return pool;
}

static uint32_t add(uint32_t pool, unsigned number, uint32_t weight)
{
    char name[32];
    snprintf(name, sizeof name, "b%u", number);
    struct entry_spec spec = {.name = name, .endpoint = "x", .weight = weight};
    uint32_t entry = entry_add(&table, pool, &spec);
    CHECK(entry != INDEX_NONE);
    return entry;
}

static struct hashtable open_hash(uint32_t pool, enum hashtable_kind kind)
{
    struct hashtable h = {0};
    CHECK(hashtable_open(&table, pool, kind, &h));
    return h;
}

TEST(a_ring_has_150_sorted_points_per_weight_unit)
{
    open_table();
    table_lock(&table);
    uint32_t pool = add_pool("p", HASHTABLE_RING);
    add(pool, 1, 1);
    add(pool, 2, 3);
    add(pool, 3, 0);
    table_unlock(&table);
    struct hashtable h = open_hash(pool, HASHTABLE_RING);
    CHECK_EQ(h.count, 600);
    const uint64_t *points = h.base;
    for (uint32_t i = 1; i < h.count; i++)
        CHECK(points[i - 1] < points[i]);
    for (uint32_t i = 0; i < h.count; i++)
        CHECK_EQ(hashtable_ring_find(&h, points[i]), i);
    CHECK_EQ(hashtable_ring_find(&h, points[h.count - 1] + 1), 0); /* round */
    CHECK_EQ(hashtable_ring_find(&h, 0), 0);
}

TEST(many_backends_under_one_lock_are_one_build)
{
    open_table();
    table_lock(&table);
    uint32_t pool = add_pool("p", HASHTABLE_RING);
    table_unlock(&table);
    uint32_t seq = word_get(&pool_at(&table, pool)->hash_seq);
    table_lock(&table);
    for (unsigned i = 0; i < 10000; i++)
        add(pool, i, 1 + i % 8);
    table_unlock(&table);
    struct hashtable h = open_hash(pool, HASHTABLE_RING);
    CHECK_EQ(h.seq, seq + 2);
    CHECK(h.count <= HASHTABLE_RING_MAX && h.count > HASHTABLE_RING_MAX / 2);
    table_lock(&table);
    table_unlock(&table);
    CHECK(hashtable_current(&table, pool, &h)); /* nothing changed, nothing built */
}

TEST(a_reader_of_a_replaced_table_is_told)
{
    open_table();
    table_lock(&table);
    uint32_t pool = add_pool("p", HASHTABLE_MAGLEV);
    add(pool, 1, 1);
    table_unlock(&table);
    struct hashtable h = open_hash(pool, HASHTABLE_MAGLEV);
    CHECK(hashtable_current(&table, pool, &h));
    table_lock(&table);
    add(pool, 2, 1);
    CHECK(hashtable_current(&table, pool, &h)); /* not before the lock is given back */
    table_unlock(&table);
    CHECK(!hashtable_current(&table, pool, &h));
}

TEST(another_kind_is_not_taken_for_ones_own)
{
    struct hashtable h;
    open_table();
    table_lock(&table);
    uint32_t pool = add_pool("p", HASHTABLE_RING);
    add(pool, 1, 1);
    table_unlock(&table);
    CHECK(!hashtable_open(&table, pool, HASHTABLE_MAGLEV, &h));
    table_lock(&table);
    hashtable_set_kind(&table, pool, HASHTABLE_MAGLEV);
    table_unlock(&table);
    CHECK(!hashtable_open(&table, pool, HASHTABLE_RING, &h));
    CHECK(hashtable_open(&table, pool, HASHTABLE_MAGLEV, &h));
    table_lock(&table);
    pool_remove(&table, pool);
    table_unlock(&table);
    CHECK(!hashtable_open(&table, pool, HASHTABLE_MAGLEV, &h));
}

static const char *start_of(const struct hashtable *h)
{
    return h->base;
}

/* Pools grow, shrink, come and go: no table ever overlaps another or memory that is not there. */
TEST(tables_never_overlap)
{
    enum { POOLS = 24 };
    uint32_t pools[POOLS];
    open_table();
    srand(5);
    table_lock(&table);
    for (unsigned i = 0; i < POOLS; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%u", i);
        pools[i] = add_pool(name, i % 8 ? HASHTABLE_RING : HASHTABLE_MAGLEV);
    }
    table_unlock(&table);
    for (unsigned step = 0; step < 300; step++) {
        table_lock(&table);
        uint32_t pool = pools[rand() % POOLS], head = word_get(&pool_at(&table, pool)->head);
        if (head != INDEX_NONE && rand() % 3 == 0)
            entry_remove(&table, head);
        else
            add(pool, step, 1 + (unsigned)rand() % 60);
        table_unlock(&table);
        const char *limit = table.hash + (size_t)word_get(&table.header->hash_reserved) * 4096;
        for (unsigned i = 0; i < POOLS; i++) {
            struct hashtable a, b;
            size_t width = i % 8 ? 8 : 4;
            if (!hashtable_open(&table, pools[i], i % 8 ? HASHTABLE_RING : HASHTABLE_MAGLEV, &a))
                continue;
            CHECK(start_of(&a) + a.count * width <= limit);
            for (unsigned j = 0; j < POOLS; j++)
                if (j != i &&
                    hashtable_open(&table, pools[j], j % 8 ? HASHTABLE_RING : HASHTABLE_MAGLEV, &b))
                    CHECK(start_of(&b) >= start_of(&a) + a.count * width ||
                          start_of(&b) < start_of(&a));
        }
    }
    CHECK(word_get(&table.header->hash_reserved) < 8192); /* 32 MiB: gaps are used again */
}

TEST(what_a_killed_holder_left_marked_is_built_by_the_next)
{
    open_table();
    table_lock(&table);
    uint32_t pool = add_pool("p", HASHTABLE_RING);
    add(pool, 1, 1);
    table_unlock(&table);
    pid_t child = fork();
    if (child == 0) {
        table_lock(&table);
        add(pool, 2, 1);
        word_set(&pool_at(&table, pool)->hash_seq, word_get(&pool_at(&table, pool)->hash_seq) | 1);
        _exit(0); /* with the lock, in the middle of switching */
    }
    CHECK(waitpid(child, NULL, 0) == child);
    struct hashtable h;
    CHECK(!hashtable_open(&table, pool, HASHTABLE_RING, &h));
    table_lock(&table);
    table_unlock(&table);
    CHECK_EQ(open_hash(pool, HASHTABLE_RING).count, 300);
}
