/* A full /dev/shm is an error message, never a SIGBUS: run on a small tmpfs in a mount namespace of
 * the test's own. */
#include "tests/unit/shm/fixture.h"

#include "base/log.h"
#include "shm/events.h"

static void small_dev_shm(const char *options)
{
    if (!isolate(options))
        SKIP("needs a mount namespace");
}

TEST(create_says_what_is_missing)
{
    small_dev_shm("size=64k");
    struct table t;
    char why[256] = "";
    CHECK_EQ(table_create(&t, NULL, why, sizeof why), -1);
    CHECK(strstr(why, "/dev/shm is full: the table needs"));
    CHECK(strstr(why, "64 KiB are free"));
    CHECK_EQ(t.fd, -1);
    char path[64];
    snprintf(path, sizeof path, "/dev/shm/ballast.%d", (int)getpid());
    CHECK_EQ(access(path, F_OK), -1); /* nothing left behind */
}

TEST(adding_fails_cleanly_and_the_rest_goes_on)
{
    small_dev_shm("size=3m");
    log_set_level(LOG_LEVEL_WARNING);
    struct table *t = make_table();
    make_workers(t, 2);
    CHECK_EQ(slot_claim(t, SLOT_ADMIN_INDEX, SLOT_ADMIN, 0), 0);
    uint32_t pool = make_pool(t, "app"), count = 0, out[64];
    char name[16];
    for (;; count++) {
        snprintf(name, sizeof name, "b%u", count);
        if (try_entry(t, pool, name, 0) == INDEX_NONE)
            break;
        CHECK(count < ENTRY_MAX);
    }
    CHECK_EQ(errno, ENOSPC);
    CHECK(count >= 100);
    CHECK_EQ(word_get(&t->header->entries_high), count);
    /* all that is in use can be touched: rows, cells of every slot, events, sums */
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t slot = 0; slot < 2; slot++)
            memset(table_cell(t, slot, i), 1, sizeof(struct cell));
        memset(table_cell(t, SLOT_ADMIN_INDEX, i), 1, sizeof(struct cell));
        CHECK(entry_reserve(t, i, 1, 1));
        CHECK_EQ(count_cell_sum(t, i, 0), 3 * 0x0101010101010101u);
    }
    for (uint32_t i = 0; i < EVENT_MAX; i++)
        event_write(t, 0, "test", "x", NULL, NULL, NULL);
    CHECK_EQ(entry_members(t, pool, out, 64), 64);
    CHECK_EQ(slot_claim(t, 2, SLOT_WORKER, 2), -1);
    CHECK_EQ(word_get(&t->header->slots_high), 2);
}

TEST(without_memory_for_new_rows_a_freed_one_is_used_at_once)
{
    small_dev_shm("size=3m");
    struct table *t = make_table();
    make_workers(t, 2);
    uint32_t pool = make_pool(t, "app"), last = INDEX_NONE, id;
    while ((id = try_entry(t, pool, "x", 0)) != INDEX_NONE)
        last = id;
    remove_entry(t, last);
    CHECK_EQ(entry_sweep(t), 1);
    CHECK_EQ(try_entry(t, pool, "y", 0), last);
}
