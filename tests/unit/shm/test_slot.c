/* Process places: claiming, reclaiming, heartbeats, client admission. */
#include "tests/unit/shm/fixture.h"

#include "base/clock.h"

TEST(claiming)
{
    struct table *t = make_table();
    CHECK_EQ(slot_claim(t, 1, SLOT_WORKER, 1), 0);
    CHECK_EQ(word_get(&t->header->slots_high), 2);
    CHECK_EQ(slot_claim(t, 0, SLOT_WORKER, 0), 0);
    CHECK_EQ(word_get(&t->header->slots_high), 2);
    CHECK_EQ(slot_claim(t, SLOT_HEALTH_INDEX, SLOT_HEALTH, 0), 0);
    CHECK_EQ(word_get(&t->header->slots_high), 2);
    struct slot *s = &t->slots[1];
    CHECK_EQ(word_get(&s->state), SLOT_STARTING);
    CHECK_EQ(word_get(&s->role), SLOT_WORKER);
    CHECK_EQ(word_get(&s->index), 1);
    slot_set_pid(t, 1, 4711);
    slot_set_state(t, 1, SLOT_READY);
    CHECK_EQ(word_get(&s->pid), 4711);
    CHECK_EQ(word_get(&s->state), SLOT_READY);
    CHECK_STR(slot_role_name(SLOT_HEALTH), "health");
    CHECK_STR(slot_state_name(SLOT_DRAINING), "draining");
    CHECK_STR(slot_state_name((enum slot_state)99), "unknown");
}

TEST(heartbeat)
{
    struct table *t = make_table();
    make_workers(t, 1);
    CHECK_EQ(slot_heartbeat_age_us(t, 0, 1000), UINT64_MAX);
    slot_heartbeat(t, 0, 400);
    CHECK_EQ(slot_heartbeat_age_us(t, 0, 1000), 600);
    CHECK_EQ(slot_heartbeat_age_us(t, 0, 300), 0); /* the reader's clock was read first */
    CHECK_EQ(slot_claim(t, 0, SLOT_WORKER, 0), 0); /* a successor has not beaten yet */
    CHECK_EQ(slot_heartbeat_age_us(t, 0, 1000), UINT64_MAX);
}

TEST(reclaim_zeroes_gauges_and_keeps_totals)
{
    struct table *t = make_table();
    make_workers(t, 2);
    uint32_t pool = make_pool(t, "app"), id = make_entry(t, pool, "a", 0);
    table_lock(t);
    uint32_t listener = listener_add(t, "web");
    table_unlock(t);
    for (uint32_t slot = 0; slot < 2; slot++) {
        CHECK(entry_reserve(t, id, 1, slot));
        CHECK(slot_client_reserve(t, slot));
        count_add(&table_cell(t, slot, id)->requests, 10);
        count_add(&table_lcell(t, slot, listener)->accepted, 20);
        count_add(&table_lcell(t, slot, listener)->active, 2);
        count_add(&table_pcell(t, slot, pool)->queue, 3);
        count_add(&table_pcell(t, slot, pool)->no_backend, 4);
    }
    slot_reclaim(t, 1);
    CHECK_EQ(entry_inflight(t, id), 1);
    CHECK_EQ(slot_clients(t), 1);
    CHECK_EQ(count_cell_sum(t, id, offsetof(struct cell, requests)), 20);
    CHECK_EQ(count_lcell_sum(t, listener, offsetof(struct lcell, accepted)), 40);
    CHECK_EQ(count_lcell_sum(t, listener, offsetof(struct lcell, active)), 2);
    CHECK_EQ(count_pcell_sum(t, pool, offsetof(struct pcell, queue)), 3);
    CHECK_EQ(count_pcell_sum(t, pool, offsetof(struct pcell, no_backend)), 8);
    CHECK_EQ(slot_claim(t, 1, SLOT_WORKER, 1), 0); /* the successor counts on */
    count_add(&table_cell(t, 1, id)->requests, 1);
    CHECK_EQ(count_cell_sum(t, id, offsetof(struct cell, requests)), 21);
}

/* ---- totals of workers that are killed
 * ---------------------------------------------------------------------- */

static atom32 *counted;

static void count_up(uint32_t slot)
{
    for (;;) {
        /* one request: place, totals, place back; noted outside when it is in the totals */
        CHECK(entry_reserve(&table, 0, 1, slot));
        count_add(&table_cell(&table, slot, 0)->requests, 1);
        atomic_fetch_add(&counted[slot], 1);
        entry_release(&table, 0, slot);
    }
}

TEST(sums_are_exact_after_kills)
{
    enum { WORKERS = 3, ROUNDS = 10 };
    struct table *t = make_table();
    make_workers(t, WORKERS);
    CHECK_EQ(make_entry(t, make_pool(t, "app"), "a", 0), 0);
    counted = shared_page();
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t victim = (uint32_t)round % WORKERS, before = atomic_load(&counted[victim]);
        CHECK_EQ(slot_claim(t, victim, SLOT_WORKER, victim), 0);
        pid_t pid = start(count_up, victim);
        await(&counted[victim], before + 1000);
        kill_and_wait(pid);
        slot_reclaim(t, victim);
        CHECK_EQ(entry_inflight(t, 0), 0);
    }
    uint64_t sum = count_cell_sum(t, 0, offsetof(struct cell, requests)), noted = 0;
    for (uint32_t i = 0; i < WORKERS; i++)
        noted += atomic_load(&counted[i]);
    CHECK(sum >= noted &&
          sum <= noted + ROUNDS); /* killed between the two notes at most once a round */
}

/* ---- clients
 * ------------------------------------------------------------------------------------------------
 */

static struct {
    atom32 holding, highest, taken;
} * seen;

static void accept_and_close(uint32_t slot)
{
    for (int i = 0; i < 20000; i++) {
        if (!slot_client_reserve(&table, slot))
            continue;
        uint32_t now = atomic_fetch_add(&seen->holding, 1) + 1, old = atomic_load(&seen->highest);
        while (now > old && !atomic_compare_exchange_weak(&seen->highest, &old, now))
            ;
        atomic_fetch_add(&seen->taken, 1);
        atomic_fetch_sub(&seen->holding, 1);
        slot_client_release(&table, slot);
    }
}

TEST(clients_are_limited_exactly)
{
    struct table *t = make_table();
    make_workers(t, 4);
    word_set(&t->header->max_connections, 2);
    seen = shared_page();
    for (uint32_t slot = 0; slot < 4; slot++)
        start(accept_and_close, slot);
    wait_all();
    CHECK(atomic_load(&seen->highest) <= 2);
    CHECK(atomic_load(&seen->taken) > 0);
    CHECK_EQ(slot_clients(t), 0);
    CHECK(slot_client_reserve(t, 0));
    CHECK(slot_client_reserve(t, 3));
    CHECK(!slot_client_reserve(t, 1));
    word_set(&t->header->max_connections, 0); /* no limit */
    CHECK(slot_client_reserve(t, 1));
}
