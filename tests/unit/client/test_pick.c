/* What the client library chooses: the workers' algorithms over a table that is only read, and what
 * the client itself has in flight and met. */
#include "tests/unit/client/fixture.h"

#include "base/key.h"
#include "shm/breaker.h"
#include "shm/latency.h"
#include "shm/passive.h"

#define MS 1000u

static void ask_times(uint32_t times, uint32_t counts[ENTRY_MAX])
{
    memset(counts, 0, ENTRY_MAX * sizeof *counts);
    for (uint32_t i = 0; i < times; i++) {
        uint32_t entry = ask(NULL);
        CHECK(entry != INDEX_NONE);
        counts[entry]++;
    }
}

static uint32_t counts[ENTRY_MAX];

TEST(a_pick_says_where_to_go)
{
    struct ballast_pick pick;
    make_table("round_robin");
    uint32_t entry = add_backend(4711);
    open_client();
    CHECK_EQ(pick_key(NULL, &pick), BALLAST_OK);
    const struct sockaddr_in *in = (const struct sockaddr_in *)&pick.address;
    CHECK_EQ(pick.address_len, sizeof *in);
    CHECK_EQ(in->sin_family, AF_INET);
    CHECK_EQ(ntohs(in->sin_port), 4711);
    CHECK_STR(pick.backend, "b4711");
    CHECK_STR(pick.endpoint, "127.0.0.1:4711");
    CHECK_EQ(pick.slot, entry);
    CHECK_EQ(pick.generation, word_get(&entry_at(&table, entry)->incarnation));
    CHECK_EQ(pick.stale, 0);
    ballast_report(client, &pick, BALLAST_SUCCESS, 1);
    ballast_client_close(client);
}

TEST(turns_are_even_and_by_weight)
{
    make_table("round_robin");
    uint32_t a = add_backend_to(pool, 1, 1, 0), b = add_backend_to(pool, 2, 3, 0);
    open_client();
    ask_times(100, counts);
    CHECK_EQ(counts[a], 50);
    set_algorithm(pool, "weighted_round_robin", "uri"); /* as a reload does */
    ask_times(400, counts);
    CHECK_EQ(counts[a], 100);
    CHECK_EQ(counts[b], 300);
}

TEST(nobody_elses_cursor_moves)
{
    make_table("round_robin");
    add_backend(1);
    open_client();
    ask_times(10, counts);
    CHECK_EQ(count_get(&pool_at(&table, pool)->cursor), 0);
}

/* The choice of a worker for the same key. */
static uint32_t workers_choice(const char *algorithm, uint64_t key)
{
    struct lb_view view;
    lb_view_init(&view, &table, pool, lb_find(algorithm));
    CHECK_EQ(lb_view_refresh(&view, clock_mono_us()), 0);
    struct lb_request r = {.key = key};
    uint32_t entry = view.algorithm->select(&view, &r);
    lb_view_free(&view);
    return entry;
}

TEST(a_key_gets_the_backend_that_the_balancer_gives_it)
{
    static const char *const algorithms[] = {"consistent_hash", "maglev", "url_hash"};
    make_table("consistent_hash");
    for (uint32_t i = 0; i < 20; i++)
        add_backend_to(pool, 100 + i, 1 + i % 3, 0);
    open_client();
    for (unsigned a = 0; a < ARRAY_LEN(algorithms); a++) {
        set_algorithm(pool, algorithms[a], "uri");
        for (unsigned i = 0; i < 500; i++) {
            char key[32];
            snprintf(key, sizeof key, "/some/path?%u", i);
            uint64_t hash = key_hash_part((struct key_part){key, strlen(key)});
            CHECK_EQ(ask(key), workers_choice(algorithms[a], hash));
        }
    }
}

TEST(addresses_and_hosts_are_hashed_as_the_balancer_does)
{
    static const uint8_t four[] = {192, 0, 2, 7};
    static const uint8_t six[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 9};
    make_table("ip_hash");
    for (uint32_t i = 0; i < 50; i++)
        add_backend(100 + i);
    open_client();
    uint32_t by_four =
        workers_choice("ip_hash", key_hash_request("client_ip", NULL, NULL, four, sizeof four));
    uint32_t by_six =
        workers_choice("ip_hash", key_hash_request("client_ip", NULL, NULL, six, sizeof six));
    CHECK_EQ(ask("192.0.2.7"), by_four);
    CHECK_EQ(ask("::ffff:192.0.2.7"), by_four);
    CHECK_EQ(ask("2001:db8::9"), by_six);
    CHECK_EQ(ask("2001:0DB8:0:0:0:0:0:9"), by_six);
    CHECK(ask("not an address") != INDEX_NONE);
    CHECK(ask("") != INDEX_NONE);
    set_algorithm(pool, "maglev", "host");
    CHECK_EQ(ask("Shop.Example"), ask("shop.example"));
    set_algorithm(pool, "maglev", "header:X");
    uint32_t different = 0;
    for (unsigned i = 0; i < 20; i++) {
        char upper[32], lower[32];
        snprintf(upper, sizeof upper, "Shop%u", i);
        snprintf(lower, sizeof lower, "shop%u", i);
        different += ask(upper) != ask(lower);
    }
    CHECK(different > 10);
}

TEST(without_a_key_all_are_asked)
{
    make_table("consistent_hash");
    for (uint32_t i = 0; i < 4; i++)
        add_backend(1 + i);
    open_client();
    ask_times(400, counts);
    for (uint32_t i = 0; i < 4; i++)
        CHECK(counts[i] > 20);
}

TEST(load_is_the_workers_and_its_own)
{
    static const char *const algorithms[] = {"least_connections", "weighted_least_connections"};
    for (unsigned a = 0; a < ARRAY_LEN(algorithms); a++) {
        if (!table.base)
            make_table(algorithms[a]);
        set_algorithm(pool, algorithms[a], "uri");
        uint32_t base = word_get(&table.header->entries_high);
        uint32_t b[3] = {add_backend(1), add_backend(2), add_backend(3)};
        CHECK_EQ(b[0], base);
        open_client();
        for (unsigned i = 0; i < 4; i++) /* a worker is busy with the first */
            CHECK(entry_reserve(&table, b[0], 1, 0));
        memset(counts, 0, sizeof counts);
        for (unsigned i = 0; i < 11; i++)
            counts[hold()]++;
        CHECK_EQ(counts[b[0]], 1);
        CHECK_EQ(counts[b[1]], 5);
        CHECK_EQ(counts[b[2]], 5);
        ballast_client_close(client);
        for (unsigned i = 0; i < 3; i++)
            remove_backend(b[i]);
    }
}

TEST(idle_ones_take_turns_by_weight)
{
    make_table("weighted_least_connections");
    uint32_t a = add_backend_to(pool, 1, 1, 0), b = add_backend_to(pool, 2, 4, 0);
    open_client();
    ask_times(500, counts);
    CHECK(counts[a] >= 99 && counts[a] <= 101);
    CHECK(counts[b] >= 399 && counts[b] <= 401);
    set_algorithm(pool, "least_connections", "uri");
    ask_times(100, counts);
    CHECK(counts[a] >= 49 && counts[a] <= 51);
}

TEST(of_many_some_are_looked_at_and_none_forgotten)
{
    make_table("least_connections");
    for (uint32_t i = 0; i < 500; i++)
        add_backend(1 + i);
    open_client();
    memset(counts, 0, sizeof counts);
    for (unsigned i = 0; i < 1000; i++)
        counts[hold()]++;
    for (uint32_t i = 0; i < 500; i++)
        CHECK(counts[i] >= 1 && counts[i] <= 3);
}

TEST(of_two_the_less_loaded)
{
    make_table("power_of_two");
    uint32_t a = add_backend(1), b = add_backend(2);
    open_client();
    memset(counts, 0, sizeof counts);
    for (unsigned i = 0; i < 1000; i++)
        counts[hold()]++;
    CHECK(counts[a] > 400 && counts[b] > 400);
}

TEST(the_fastest_and_now_and_then_the_slow_one)
{
    struct ballast_pick pick;
    make_table("least_response_time");
    uint32_t fast = add_backend(1), slow = add_backend(2);
    open_client();
    memset(counts, 0, sizeof counts);
    for (unsigned i = 0; i < 1000; i++) {
        CHECK_EQ(pick_key(NULL, &pick), BALLAST_OK);
        counts[pick.slot]++;
        ballast_report(client, &pick, BALLAST_SUCCESS, pick.slot == fast ? 100 : 50000);
    }
    CHECK(counts[slow] >= 1);
    CHECK(counts[slow] < 50);
    CHECK_EQ(count_get(&pool_at(&table, pool)->probe_us), 0); /* no ticket of the workers' */
}

TEST(limits_count_what_can_be_seen)
{
    struct ballast_pick first, second;
    make_table("first");
    uint32_t a = add_backend_to(pool, 1, 1, 2), b = add_backend_to(pool, 2, 1, 1);
    open_client();
    CHECK(entry_reserve(&table, a, 1, 0));
    CHECK_EQ(pick_key(NULL, &first), BALLAST_OK);
    CHECK_EQ(first.slot, a);
    CHECK_EQ(pick_key(NULL, &second), BALLAST_OK);
    CHECK_EQ(second.slot, b);
    CHECK_EQ(hold(), INDEX_NONE);
    struct ballast_pick third;
    CHECK_EQ(pick_key(NULL, &third), BALLAST_FULL);
    ballast_report(client, &first, BALLAST_ABANDONED, 0);
    ballast_report(client, &first, BALLAST_ABANDONED, 0); /* counts once */
    CHECK_EQ(hold(), a);
    CHECK_EQ(pick_key(NULL, &third), BALLAST_FULL);
    ballast_report(client, &second, BALLAST_ABANDONED, 0);
    word_set(&pool_at(&table, pool)->max_connections, 1);
    CHECK_EQ(pick_key(NULL, &third), BALLAST_FULL);
    word_set(&pool_at(&table, pool)->max_connections, 2);
    CHECK_EQ(pick_key(NULL, &third), BALLAST_OK);
}

TEST(every_algorithm_passes_over_full_ones)
{
    make_table("round_robin");
    uint32_t open = 0;
    for (uint32_t i = 0; i < 40; i++)
        open = add_backend_to(pool, 1 + i, 1, i == 39 ? 0 : 1);
    for (uint32_t i = 0; i < 39; i++)
        CHECK(entry_reserve(&table, i, 1, 0));
    open_client();
    for (unsigned a = 0; lb_algorithms[a]; a++) {
        set_algorithm(pool, lb_algorithms[a]->name, "uri");
        for (unsigned i = 0; i < 20; i++)
            CHECK_EQ(ask("x"), open);
    }
}

TEST(states_are_obeyed)
{
    struct ballast_pick pick;
    make_table("round_robin");
    uint32_t a = add_backend(1), b = add_backend(2);
    open_client();
    entry_set_mode(&table, a, MODE_DRAINING);
    ask_times(10, counts);
    CHECK_EQ(counts[b], 10);
    entry_set_mode(&table, a, MODE_MAINTENANCE);
    ask_times(10, counts);
    CHECK_EQ(counts[b], 10);
    entry_set_mode(&table, a, MODE_ENABLED);
    entry_set_health(&table, b, HEALTH_UNHEALTHY);
    ask_times(10, counts);
    CHECK_EQ(counts[a], 10);
    table_lock(&table);
    entry_set_weight_override(&table, a, 0);
    table_unlock(&table);
    CHECK_EQ(pick_key(NULL, &pick), BALLAST_NONE);
    CHECK_EQ(pick.address_len, 0);
    CHECK_EQ(pick.slot, INDEX_NONE);
    entry_set_health(&table, b, HEALTH_HEALTHY);
    ask_times(10, counts);
    CHECK_EQ(counts[b], 10);
}

TEST(everybody_is_asked_when_the_pool_says_so)
{
    make_table("round_robin");
    uint32_t a = add_backend(1), b = add_backend(2), off = add_backend(3);
    open_client();
    for (uint32_t i = 0; i < 3; i++)
        entry_set_health(&table, i, HEALTH_UNHEALTHY);
    entry_set_mode(&table, off, MODE_MAINTENANCE);
    CHECK_EQ(ask(NULL), INDEX_NONE);
    pool_set_policy(&table, pool, POOL_KEY_NONE, true);
    ask_times(10, counts);
    CHECK(counts[a] > 0 && counts[b] > 0);
    CHECK_EQ(counts[a] + counts[b], 10);
}

TEST(backups_come_last)
{
    make_table("round_robin");
    uint32_t a = add_backend(1), spare = add_backend(2);
    word_set(&entry_at(&table, spare)->backup, 1);
    pool_touch(&table, pool);
    open_client();
    ask_times(4, counts);
    CHECK_EQ(counts[a], 4);
    entry_set_health(&table, a, HEALTH_UNHEALTHY);
    ask_times(4, counts);
    CHECK_EQ(counts[spare], 4);
}

/* No worker has traffic, so nobody takes it back; the time in the word counts. */
TEST(who_was_taken_out_comes_back_by_itself)
{
    make_table("round_robin");
    uint32_t a = add_backend(1), b = add_backend(2);
    uint64_t now_us = clock_mono_us();
    open_client();
    CHECK(passive_failed(&table, a, 0, 1, 300, now_us, "test"));
    ask_times(10, counts);
    CHECK(counts[b] == 10 || clock_mono_us() > now_us + 299 * MS);
    await_us(now_us + 301 * MS);
    ask_times(10, counts);
    CHECK_EQ(counts[a], 5);
    CHECK(passive_ejected(entry_at(&table, a))); /* as far as the table knows */
}

TEST(an_open_breaker_lets_one_at_a_time_through_when_its_time_is_over)
{
    const struct breaker_rule rule = {1, 2, 300};
    struct ballast_pick probe;
    make_table("first");
    uint32_t a = add_backend(1), b = add_backend(2);
    uint64_t now_us = clock_mono_us();
    open_client();
    CHECK(breaker_failure(&table, a, 0, &rule, BREAKER_NO_TICKET, now_us, "test"));
    CHECK(ask(NULL) == b || clock_mono_us() > now_us + 299 * MS);
    await_us(now_us + 320 * MS);
    CHECK_EQ(pick_key(NULL, &probe), BALLAST_OK);
    CHECK_EQ(probe.slot, a);
    CHECK_EQ(ask(NULL), b);
    ballast_report(client, &probe, BALLAST_SUCCESS, 1);
    CHECK_EQ(ask(NULL), a);
}

TEST(slow_start_goes_on_without_workers)
{
    make_table("weighted_round_robin");
    uint32_t old = add_backend(1);
    table_lock(&table);
    ramp_configure(&table, pool, 640);
    table_unlock(&table);
    uint64_t began_us = clock_mono_us();
    uint32_t new = add_backend(2);
    open_client();
    CHECK_EQ(word_get(&entry_at(&table, new)->ramp), 1);
    ask_times(33, counts);
    CHECK(counts[new] == 1 || clock_mono_us() > began_us + 39 * MS);
    CHECK(counts[old] > counts[new] || clock_mono_us() > began_us + 500 * MS);
    await_us(clock_mono_us() + 680 * MS);
    ask_times(100, counts);
    CHECK_EQ(counts[new], 50);
    CHECK_EQ(word_get(&entry_at(&table, new)->ramp), 1); /* only read */
}

static void fail(uint32_t entry, unsigned times)
{
    struct ballast_pick pick;
    while (times) {
        CHECK_EQ(pick_key(NULL, &pick), BALLAST_OK);
        bool it = pick.slot == entry;
        ballast_report(client, &pick, it ? BALLAST_FAILURE : BALLAST_SUCCESS, 0);
        times -= it;
    }
}

TEST(who_fails_is_left_out_for_a_while)
{
    struct ballast_options options = BALLAST_OPTIONS_INIT;
    options.max_fails = 2;
    options.fail_timeout_ms = 300;
    make_table("round_robin");
    uint32_t a = add_backend(1), b = add_backend(2);
    open_with(options);
    fail(a, 1);
    while (ask(NULL) != a) /* a success in between: not in a row */
        ;
    fail(a, 1);
    ask_times(10, counts);
    CHECK_EQ(counts[a], 5);
    fail(a, 2);
    uint64_t out_us = clock_mono_us();
    ask_times(10, counts);
    if (clock_mono_us() < out_us + 200 * MS)
        CHECK_EQ(counts[a], 0);
    CHECK(counts[b] > 0);
    CHECK_EQ(count_get(&entry_at(&table, a)->passive), 0);
    await_us(out_us + 301 * MS);
    ask_times(10, counts);
    CHECK_EQ(counts[a], 5);
}

TEST(the_last_one_stays)
{
    struct ballast_options options = BALLAST_OPTIONS_INIT;
    options.max_fails = 1;
    options.fail_timeout_ms = 3600000;
    make_table("round_robin");
    uint32_t a = add_backend(1), b = add_backend(2);
    open_with(options);
    fail(a, 1);
    ask_times(4, counts);
    CHECK_EQ(counts[b], 4);
    fail(b, 1);
    ask_times(4, counts); /* everybody failed: as good as nobody */
    CHECK_EQ(counts[a], 2);
    CHECK_EQ(counts[b], 2);
}

TEST(another_one_for_the_same_request)
{
    struct ballast_pick pick;
    make_table("consistent_hash");
    for (uint32_t i = 0; i < 3; i++)
        add_backend(1 + i);
    open_client();
    memset(counts, 0, sizeof counts);
    CHECK_EQ(pick_key("/x", &pick), BALLAST_OK);
    counts[pick.slot]++;
    for (unsigned i = 0; i < 2; i++) {
        ballast_report(client, &pick, BALLAST_FAILURE, 0);
        CHECK_EQ(ballast_pick_other(client, &pick), BALLAST_OK);
        counts[pick.slot]++;
    }
    for (uint32_t i = 0; i < 3; i++)
        CHECK_EQ(counts[i], 1);
    CHECK_EQ(ballast_pick_other(client, &pick), BALLAST_NONE); /* unreported: given up */
    for (uint32_t i = 0; i < 3; i++)
        CHECK_EQ(client->rows[i].inflight, 0);
    CHECK_EQ(client->pools[0]->own.inflight, 0);
}

TEST(a_pick_that_never_was_has_no_other)
{
    struct ballast_pick pick;
    make_table("round_robin");
    add_backend(1);
    open_client();
    CHECK(ask(NULL) != INDEX_NONE);
    CHECK_EQ(ballast_pick(client, "no such pool", NULL, 0, &pick), BALLAST_NO_POOL);
    ballast_report(client, &pick, BALLAST_FAILURE, 0);
    CHECK_EQ(ballast_pick_other(client, &pick), BALLAST_FALLBACK);
    memset(&pick, 0, sizeof pick);
    ballast_report(client, &pick, BALLAST_FAILURE, 0);
    memset(&pick, 0xff, sizeof pick);
    ballast_report(client, &pick, BALLAST_FAILURE, 0);
    CHECK_EQ(ballast_pick_other(client, &pick), BALLAST_FALLBACK);
    CHECK_EQ(client->rows[0].fails, 0);
}

TEST(bounded_loads)
{
    make_table("consistent_hash");
    for (uint32_t i = 0; i < 4; i++)
        add_backend(1 + i);
    table_lock(&table);
    pool_set_max_load(&table, pool, 1250);
    table_unlock(&table);
    open_client();
    memset(counts, 0, sizeof counts);
    for (unsigned i = 0; i < 100; i++) {
        struct ballast_pick pick;
        CHECK_EQ(pick_key("the same", &pick), BALLAST_OK);
        counts[pick.slot]++;
    }
    for (uint32_t i = 0; i < 4; i++)
        CHECK(counts[i] <= 33);
}
