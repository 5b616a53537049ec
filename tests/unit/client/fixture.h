/* tests/unit/client/fixture.h: an instance that is this process: a table with a pool, and a client
 * of it. */
#ifndef BALLAST_TESTS_CLIENT_FIXTURE_H
#define BALLAST_TESTS_CLIENT_FIXTURE_H

#include "tests/unit/harness.h"

#include <arpa/inet.h>
#include <sched.h>
#include <sys/mount.h>
#include "base/clock.h"
#include "client/client_int.h"
#include "shm/slot.h"

#define CONF "/nowhere/test.conf"

static struct table table;
static uint32_t pool;
static struct ballast_client *client;

__attribute__((unused)) static void drop_table(void)
{
    if (table.base && table.header->master_pid == (uint32_t)getpid())
        table_unlink(&table);
}

__attribute__((unused)) static void beat(void)
{
    slot_heartbeat(&table, 0, clock_mono_us());
}

__attribute__((unused)) static void set_algorithm(uint32_t row, const char *name,
                                                  const char *hash_key)
{
    table_lock(&table);
    lb_prepare(&table, row, lb_find(name));
    pool_set_policy(&table, row, lb_key_kind(lb_find(name), hash_key), false);
    table_unlock(&table);
}

__attribute__((unused)) static uint32_t make_pool(const char *name)
{
    table_lock(&table);
    uint32_t row = pool_add(&table, name);
    table_unlock(&table);
    CHECK(row != INDEX_NONE);
    return row;
}

/* The table of this process, with one pool "p" and four workers. */
__attribute__((unused)) static void make_table(const char *algorithm)
{
    char why[256] = "";
    if (table_create(&table, CONF, why, sizeof why) == -1)
        fprintf(stderr, "%s\n", why);
    CHECK_STR(why, "");
    atexit(drop_table);
    pool = make_pool("p");
    for (uint32_t slot = 0; slot < 4; slot++)
        CHECK_EQ(slot_claim(&table, slot, SLOT_WORKER, slot), 0);
    set_algorithm(pool, algorithm, "uri");
    beat();
}

/* Its port says its number, so that a mixture of two shows. */
__attribute__((unused)) static uint32_t add_backend_to(uint32_t row, uint32_t number,
                                                       uint32_t weight, uint32_t max_connections)
{
    char name[32], endpoint[40];
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(name, sizeof name, "b%u", number);
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", number & 0xffff);
    struct entry_spec spec = {.name = name,
                              .endpoint = endpoint,
                              .weight = weight,
                              .max_connections = max_connections,
                              .origin = ORIGIN_CONF};
    net_addr_from_sockaddr(&spec.addr, (const struct sockaddr *)&in, sizeof in);
    table_lock(&table);
    uint32_t entry = entry_add(&table, row, &spec);
    table_unlock(&table);
    CHECK(entry != INDEX_NONE);
    entry_set_health(&table, entry, HEALTH_HEALTHY);
    return entry;
}

__attribute__((unused)) static uint32_t add_backend(uint32_t number)
{
    return add_backend_to(pool, number, 1, 0);
}

__attribute__((unused)) static void remove_backend(uint32_t entry)
{
    table_lock(&table);
    entry_remove(&table, entry);
    table_unlock(&table);
}

__attribute__((unused)) static void open_with(struct ballast_options options)
{
    char why[256] = "", instance[32];
    snprintf(instance, sizeof instance, "pid:%d", getpid());
    client = ballast_client_open(instance, &options, why, sizeof why);
    CHECK_STR(why, "");
    CHECK(client);
}

/* Its table is believed, however long a busy machine leaves us no time to beat. */
__attribute__((unused)) static void open_client(void)
{
    struct ballast_options options = BALLAST_OPTIONS_INIT;
    options.stale_ms = 3600000;
    open_with(options);
}

__attribute__((unused)) static enum ballast_result pick_key(const char *key,
                                                            struct ballast_pick *out)
{
    beat();
    return ballast_pick(client, "p", key, key ? strlen(key) : 0, out);
}

/* The backend's entry, after a report; INDEX_NONE: none. */
__attribute__((unused)) static uint32_t ask(const char *key)
{
    struct ballast_pick pick;
    if (pick_key(key, &pick) != BALLAST_OK)
        return INDEX_NONE;
    ballast_report(client, &pick, BALLAST_SUCCESS, 100);
    return pick.slot;
}

/* The same, its requests still in flight. */
__attribute__((unused)) static uint32_t hold(void)
{
    struct ballast_pick pick;
    return pick_key(NULL, &pick) == BALLAST_OK ? pick.slot : INDEX_NONE;
}

/* Waits, without sleeping, for a time to come. */
__attribute__((unused)) static void await_us(uint64_t at_us)
{
    while (clock_mono_us() <= at_us)
        sched_yield();
}

#endif
