/* What is lent to clients: exact with workers, kept when the broker dies; and the purse that a
 * client may fill with anything. */
#include "tests/unit/shm/fixture.h"

#include "base/hash.h"
#include "shm/grant.h"
#include "shm/loads.h"
#include "shm/purse.h"
#include "shm/queue.h"

#define ROW 7u

static uint32_t pool, entry, got;

static struct table *make_lending(uint32_t limit)
{
    struct table *t = make_table();
    make_workers(t, 2);
    pool = make_pool(t, "app");
    entry = make_entry(t, pool, "a", limit);
    CHECK_EQ(grant_prepare(t), 0);
    grant_open(t, ROW, (uint32_t)getpid(), grant_start_ticks((uint32_t)getpid()), 1);
    return t;
}

static enum grant_result take(struct table *t, uint32_t want)
{
    return grant_take(t, ROW, entry, word_get(&entry_at(t, entry)->incarnation), want, &got);
}

TEST(lent_and_reserved_keep_one_limit)
{
    struct table *t = make_lending(4);
    CHECK_EQ(take(t, 2), GRANT_OK);
    CHECK_EQ(got, 2);
    CHECK(entry_reserve(t, entry, 1, 0));
    CHECK_EQ(take(t, 9), GRANT_OK);
    CHECK_EQ(got, 1); /* the last one, and no more than one where room is short */
    CHECK(!entry_reserve(t, entry, 1, 1));
    CHECK_EQ(take(t, 1), GRANT_FULL);
    CHECK_EQ(entry_inflight(t, entry), 4);
    CHECK_EQ(pool_inflight(t, pool), 3); /* a worker would have reserved its own */
    CHECK_EQ(entry_status(entry_at(t, entry)), STATUS_OVERLOADED);
    grant_give(t, ROW, entry, 1);
    CHECK(entry_reserve(t, entry, 1, 1));
    grant_close(t, ROW);
    CHECK_EQ(entry_inflight(t, entry), 2);
    CHECK_EQ(pool_inflight(t, pool), 0);
    CHECK_EQ(word_get(&t->grants[ROW].state), ROW_FREE);
}

TEST(the_limit_of_the_pool_and_its_queue)
{
    struct table *t = make_lending(0);
    word_set(&pool_at(t, pool)->max_connections, 3);
    CHECK(pool_reserve(t, pool, 0));
    CHECK_EQ(take(t, 1), GRANT_OK);
    CHECK_EQ(take(t, 1), GRANT_OK);
    CHECK_EQ(take(t, 1), GRANT_POOL_FULL);
    CHECK(!pool_reserve(t, pool, 1));
    CHECK_EQ(entry_inflight(t, entry), 2);
    grant_give(t, ROW, entry, 9); /* no more than it has */
    CHECK_EQ(pool_inflight(t, pool), 1);
    CHECK(queue_reserve(t, pool, 1, 5));
    CHECK_EQ(take(t, 1), GRANT_POOL_FULL);
    queue_release(t, pool, 1);
    CHECK_EQ(take(t, 1), GRANT_OK);
}

TEST(only_what_is_there_is_lent)
{
    struct table *t = make_lending(0);
    CHECK_EQ(grant_take(t, ROW, entry, 2, 1, &got), GRANT_GONE);
    CHECK_EQ(grant_take(t, ROW, entry + 1, 1, 1, &got), GRANT_GONE);
    CHECK_EQ(grant_take(t, ROW, UINT32_MAX, 1, 1, &got), GRANT_GONE);
    CHECK_EQ(take(t, 0), GRANT_GONE);
    CHECK_EQ(take(t, 3), GRANT_OK);
    CHECK_EQ(grant_held(t, ROW, entry), 3);
    CHECK_EQ(grant_held(t, ROW, UINT32_MAX), 0);
    CHECK_EQ(grant_held(t, UINT32_MAX, entry), 0);
    remove_entry(t, entry);
    CHECK_EQ(take(t, 1), GRANT_GONE);
    CHECK_EQ(entry_sweep(t), 0); /* it drains */
    grant_give(t, ROW, entry, 3);
    CHECK_EQ(entry_sweep(t), 1);
}

TEST(a_broker_that_died_in_between)
{
    struct table *t = make_lending(0);
    CHECK_EQ(take(t, 4), GRANT_OK);
    atom32 *cells = &t->grant_cells[(size_t)ROW * ENTRY_MAX];
    word_set(&cells[entry], 6);    /* it was about to take two more, or had given them back */
    grant_open(t, 9, 1, 12345, 2); /* another process has this pid by now */
    word_set(&t->grants[9].cells_reserved, 0);
    grant_recover(t);
    CHECK_EQ(entry_inflight(t, entry), 6);
    CHECK_EQ(pool_inflight(t, pool), 6);
    CHECK_EQ(word_get(&t->grants[ROW].state), ROW_LIVE);
    CHECK_EQ(word_get(&t->grants[9].state), ROW_FREE);
    word_set(&t->grants[ROW].pid, 0);
    grant_recover(t);
    CHECK_EQ(entry_inflight(t, entry), 0);
    CHECK_EQ(pool_inflight(t, pool), 0);
}

TEST(the_least_loaded_is_so_for_both)
{
    struct table *t = make_lending(0);
    uint32_t other = make_entry(t, pool, "b", 0), least = INDEX_NONE;
    table_lock(t);
    loads_set_kind(t, pool, LOADS_COUNT);
    table_unlock(t);
    loads_refresh(t, pool);
    CHECK_EQ(take(t, 1), GRANT_OK);
    CHECK_EQ(loads_least(t, pool, NULL, 0, &least), LOADS_FOUND);
    CHECK_EQ(least, other);
    CHECK(entry_reserve(t, other, 1, 0) && entry_reserve(t, other, 1, 0));
    CHECK_EQ(loads_least(t, pool, NULL, 0, &least), LOADS_FOUND);
    CHECK_EQ(least, entry);
}

TEST(a_purse)
{
    int fd;
    struct purse *broker = purse_create(&fd), *client = purse_map(fd);
    CHECK(broker && client);
    CHECK(!purse_use(client, 5));
    purse_grant(broker, 5, 2);
    CHECK(purse_use(client, 5));
    CHECK_EQ(purse_take_idle(broker, 5, 2), 1);
    CHECK(!purse_use(client, 5));
    CHECK_EQ(purse_granted(client, 5), 1);
    purse_done(client, 5);
    purse_done(client, 5);
    CHECK_EQ(purse_take_idle(broker, 5, 1), 1);
    purse_grant(broker, 6, 3);
    purse_settle(client, 6, 2);
    purse_settle(client, 6, 2);
    CHECK_EQ(purse_take_idle(broker, 6, 3), 1);
    CHECK_EQ(ftruncate(fd, 4096), -1);
    purse_unmap(client);
    purse_unmap(broker);
    close(fd);
    fd = memfd_create("other", 0);
    CHECK_EQ(ftruncate(fd, (off_t)sizeof(struct purse)), 0);
    CHECK(purse_map(fd) == NULL); /* not sealed: its maker could cut it short */
}

TEST(reports_arrive_once_and_in_order)
{
    int fd;
    struct purse *p = purse_create(&fd);
    struct purse_record in = {.entry = 1}, out[100];
    uint64_t tail = 0, read = 0;
    for (uint32_t n = 0; n < 3 * PURSE_RECORDS; n++) {
        in.latency_us = n;
        if (purse_report(p, &in))
            continue;
        CHECK(purse_is_filling(p));
        for (uint32_t got_now; (got_now = purse_read(p, &tail, out, 100)) != 0;)
            for (uint32_t i = 0; i < got_now; i++)
                CHECK_EQ(out[i].latency_us, read++);
        CHECK(purse_report(p, &in));
    }
    CHECK(read >= 2 * PURSE_RECORDS);
    CHECK_EQ(purse_read_so_far(p), read);
}

/* Whatever stands in it: no more is idle than is held, and reading ends. */
TEST(a_purse_of_nonsense)
{
    int fd;
    struct purse *p = purse_create(&fd);
    struct purse_record out[64];
    uint64_t tail = 0, *bytes = (uint64_t *)(void *)p;
    for (uint64_t round = 0; round < 50; round++) {
        for (size_t i = 0; i < sizeof *p / sizeof *bytes; i++)
            bytes[i] = hash_mix64(round * 1000003 + i);
        for (uint32_t e = 0; e < 100; e++)
            CHECK(purse_take_idle(p, e, e) <= e);
        uint32_t all = 0;
        for (uint32_t n; (n = purse_read(p, &tail, out, 64)) != 0; all += n)
            CHECK(n <= 64 && all <= PURSE_RECORDS);
    }
}
