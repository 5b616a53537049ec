/* Leases that run out, and time that does not count. */
#include "health/registry.h"

#include "shm/events.h"
#include "shm/lease.h"
#include "shm/pool.h"
#include "shm/slot.h"
#include "tests/unit/harness.h"

#define SECOND_US 1000000ull

static struct table table;
static struct registry registry;
static uint64_t now_us;
static uint32_t entry;

static void prepare(uint32_t ttl_ms)
{
    char why[160];
    CHECK_EQ(table_create(&table, "", why, sizeof(why)), 0);
    CHECK_EQ(slot_claim(&table, SLOT_ADMIN_INDEX, SLOT_ADMIN, 0), 0);
    slot_set_state(&table, SLOT_ADMIN_INDEX, SLOT_READY);
    table_lock(&table);
    struct entry_spec spec = {.name = "i1", .endpoint = "", .origin = ORIGIN_DISCOVERY};
    entry = entry_add(&table, pool_add(&table, "app"), &spec);
    table_unlock(&table);
    now_us = 1000 * SECOND_US;
    registry = (struct registry){0};
    lease_renew(entry_at(&table, entry), ttl_ms, now_us);
}

static uint32_t look_after(uint64_t elapsed_us, bool admin_moves)
{
    now_us += elapsed_us;
    if (admin_moves)
        slot_heartbeat(&table, SLOT_ADMIN_INDEX, now_us);
    return registry_look(&registry, &table, SLOT_HEALTH_INDEX, now_us);
}

static void finish(void)
{
    table_unlink(&table);
    table_close(&table);
}

TEST(it_runs_out_once)
{
    prepare(3000);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(look_after(SECOND_US - 1, true), 0);
    CHECK_EQ(look_after(SECOND_US, true), 1);
    CHECK_EQ(look_after(SECOND_US, true), 0);
    CHECK(word_get(&entry_at(&table, entry)->state) != ROW_LIVE);
    finish();
}

TEST(a_heartbeat_renews_it)
{
    prepare(3000);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(look_after(SECOND_US, true), 0);
        lease_renew(entry_at(&table, entry), 3000, now_us);
    }
    CHECK_EQ(lease_left_us(entry_at(&table, entry), now_us), 3 * SECOND_US);
    finish();
}

TEST(without_an_end)
{
    prepare(0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(look_after(SECOND_US, true), 0);
    CHECK_EQ(lease_left_us(entry_at(&table, entry), now_us), UINT64_MAX);
    finish();
}

TEST(time_in_which_nobody_could_be_heard)
{
    prepare(3000);
    CHECK_EQ(look_after(SECOND_US, true), 0);
    CHECK_EQ(look_after(3600 * SECOND_US, true), 0); /* this process stood still */
    CHECK_EQ(lease_left_us(entry_at(&table, entry), now_us), 2 * SECOND_US);
    for (int i = 0; i < 10; i++)
        (void)look_after(SECOND_US, false); /* and now admin */
    CHECK(lease_is_registered(entry_at(&table, entry)));
    CHECK_EQ(look_after(SECOND_US / 2, true), 0);
    CHECK_EQ(look_after(SECOND_US, true), 1);
    finish();
}

/* What is of the file or found by DNS has no lease, whatever the word says. */
TEST(others_have_none)
{
    prepare(1000);
    word_set(&entry_at(&table, entry)->source, 7);
    CHECK_EQ(look_after(2 * SECOND_US, true), 0);
    word_set(&entry_at(&table, entry)->source, 0);
    word_set(&entry_at(&table, entry)->origin, ORIGIN_CONF);
    CHECK_EQ(look_after(2 * SECOND_US, true), 0);
    finish();
}
