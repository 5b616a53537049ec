/* Connections per client: exact over processes, nothing left by a killed one. */
#include "tests/unit/shm/fixture.h"

#include "shm/clients.h"

static struct table *prepare(uint32_t workers, uint32_t max_connections)
{
    struct table *t = make_table();
    make_workers(t, workers);
    table_lock(t);
    CHECK_EQ(clients_prepare(t, max_connections), 0);
    table_unlock(t);
    return t;
}

static uint64_t key_of(uint64_t n)
{
    return hash_mix64(n * 2 + 1);
}

TEST(a_client_gets_what_the_limit_says)
{
    struct table *t = prepare(2, 100);
    uint32_t cells[6], none;
    for (uint32_t i = 0; i < 3; i++)
        CHECK(clients_take(t, i % 2, key_of(1), 3, &cells[i]));
    CHECK(!clients_take(t, 0, key_of(1), 3, &none));
    CHECK(!clients_take(t, 1, key_of(1), 3, &none));
    CHECK_EQ(clients_count(t, key_of(1)), 3);
    CHECK(clients_take(t, 1, key_of(2), 3, &cells[3]));
    clients_give(t, 0, cells[0]);
    CHECK(clients_take(t, 1, key_of(1), 3, &cells[4]));
    CHECK(!clients_take(t, 0, key_of(1), 3, &none));
}

/* Comings and goings of many clients against an array. */
TEST(against_a_model)
{
    struct table *t = prepare(3, 64); /* 4096 cells per worker */
    static struct {
        uint32_t slot, cell, client;
    } open[4000];
    static uint32_t counts[3000];
    uint64_t random = 88172645463325252u;
    uint32_t n = 0;
    for (uint32_t i = 0; i < 200000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uint32_t client = (uint32_t)(random >> 8) % 3000, slot = (uint32_t)(random >> 40) % 3, cell;
        if (n == ARRAY_LEN(open) || (n > 0 && random % 100 < 49)) {
            uint32_t at = (uint32_t)(random >> 20) % n;
            clients_give(t, open[at].slot, open[at].cell);
            counts[open[at].client]--;
            open[at] = open[--n];
            continue;
        }
        bool got = clients_take(t, slot, key_of(client), 3, &cell);
        CHECK_EQ(got, counts[client] < 3);
        if (got) {
            CHECK(cell != CLIENTS_NONE);
            counts[client]++;
            open[n].slot = slot, open[n].cell = cell, open[n++].client = client;
        }
        CHECK_EQ(clients_count(t, key_of(client)), counts[client]);
    }
    CHECK(n > 100);
}

TEST(more_clients_than_cells_are_not_limited_and_nothing_breaks)
{
    struct table *t = prepare(1, 1);
    uint32_t cell, uncounted = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        CHECK(clients_take(t, 0, key_of(i), 1, &cell));
        uncounted += cell == CLIENTS_NONE;
    }
    CHECK(uncounted > 10000);
}

static struct {
    struct table *t;
    struct shared {
        atom32 started, go, taken;
    } * shared;
} many;

static void compete(uint32_t slot)
{
    uint32_t cell;
    atomic_fetch_add(&many.shared->started, 1);
    await(&many.shared->go, 1);
    for (uint32_t i = 0; i < 3000; i++)
        if (clients_take(many.t, slot, key_of(1), 77, &cell))
            atomic_fetch_add(&many.shared->taken, 1);
}

static void hold(uint32_t slot)
{
    uint32_t cell;
    for (;;)
        if (clients_take(many.t, slot, key_of(1), 1000, &cell))
            atomic_fetch_add(&many.shared->taken, 1);
}

TEST(four_processes_never_take_one_too_many)
{
    many.t = prepare(4, 1000);
    many.shared = shared_page();
    for (uint32_t slot = 0; slot < 4; slot++)
        start(compete, slot);
    await(&many.shared->started, 4);
    atomic_store(&many.shared->go, 1);
    wait_all();
    CHECK_EQ(atomic_load(&many.shared->taken), 77);
    CHECK_EQ(clients_count(many.t, key_of(1)), 77);
}

TEST(a_killed_worker_leaves_nothing)
{
    uint32_t cell;
    many.t = prepare(2, 1000);
    many.shared = shared_page();
    CHECK(clients_take(many.t, 0, key_of(1), 1000, &cell));
    pid_t pid = start(hold, 1);
    await(&many.shared->taken, 500);
    kill_and_wait(pid);
    slot_reclaim(many.t, 1);
    CHECK_EQ(clients_count(many.t, key_of(1)), 1);
}
