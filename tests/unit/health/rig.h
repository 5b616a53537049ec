/*
 * tests/unit/health/rig.h: the health role without its master: a table, a configuration of two
 * pools and a struct child by hand. child_release and child_exit, which belong to proc/child.c, are
 * played here. Conf objects are heap copies that are poisoned when they are released, so that a
 * sanitizer sees a use after that.
 */
#ifndef BALLAST_TESTS_HEALTH_RIG_H
#define BALLAST_TESTS_HEALTH_RIG_H

#include "health/health.h"
#include "health/schedule.h"
#include "shm/entry.h"
#include "shm/events.h"
#include "shm/pool.h"
#include "tests/unit/health/origin.h"

#define RIG_POOLS 2u
#define HOUR_MS   3600000u
#define RELEASES  8
#define RUN_UNTIL(cond)                                                                            \
    do {                                                                                           \
        while (!(cond))                                                                            \
            ev_run(rig.child.loop, EVRUN_ONCE);                                                    \
    } while (0)

struct rig_conf {
    struct conf conf;
    struct conf_pool pools[RIG_POOLS];
    struct conf_status_range expect;
    char path[16];
};

struct rig {
    struct table table;
    struct child child;
    uint32_t rows[RIG_POOLS];
    uint32_t released; /* generations given back */
    bool exited;
};
static struct rig rig;

void child_release(struct child *c, const struct conf *old)
{
    CHECK(c == &rig.child);
    CHECK(old != c->conf);
    free(CONTAINER_OF((uintptr_t)old, struct rig_conf, conf));
    rig.released++;
}

void child_exit(struct child *c)
{
    CHECK(c == &rig.child);
    rig.exited = true;
}

/* A generation with both pools checked alike. */
static inline struct rig_conf *rig_conf_new(enum conf_health_type type, uint32_t interval_ms)
{
    struct rig_conf *c = calloc(1, sizeof(*c));
    CHECK(c != NULL);
    c->conf.pools = c->pools;
    c->conf.pool_count = RIG_POOLS;
    c->expect = (struct conf_status_range){200, 299};
    snprintf(c->path, sizeof(c->path), "/health");
    for (uint32_t p = 0; p < RIG_POOLS; p++) {
        c->pools[p].name = p == 0 ? "app" : "api";
        c->pools[p].row = rig.rows[p];
        c->pools[p].health = (struct conf_health){.type = type,
                                                  .method = "GET",
                                                  .body = "",
                                                  .service = "",
                                                  .sni = "",
                                                  .ca_pem = "",
                                                  .send = {"", "", 0},
                                                  .expect_bytes = {"", "", 0},
                                                  .path = c->path,
                                                  .host = "",
                                                  .expect = &c->expect,
                                                  .expect_count = 1,
                                                  .interval_ms = interval_ms,
                                                  .timeout_ms = 5000,
                                                  .healthy_threshold = 2,
                                                  .unhealthy_threshold = 3};
    }
    return c;
}

/* Table, loop and child; the role is not started yet. */
static inline void rig_open(enum conf_health_type type, uint32_t interval_ms)
{
    char why[256];
    if (table_create(&rig.table, "", why, sizeof(why)) != 0)
        harness_fail(__FILE__, __LINE__, why);
    table_lock(&rig.table);
    rig.rows[0] = pool_add(&rig.table, "app");
    rig.rows[1] = pool_add(&rig.table, "api");
    table_unlock(&rig.table);
    CHECK_EQ(slot_claim(&rig.table, SLOT_HEALTH_INDEX, SLOT_HEALTH, 0), 0);
    rig.child.role = &health_role;
    rig.child.table = &rig.table;
    rig.child.slot = SLOT_HEALTH_INDEX;
    rig.child.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    rig.child.conf = &rig_conf_new(type, interval_ms)->conf;
}

static inline void rig_start(void)
{
    char why[128];
    CHECK_EQ(health_role.start(&rig.child, why, sizeof(why)), 0);
    health_role.serve(&rig.child);
}

/* Forgets the process but not the table: what kill -9 does. */
static inline void rig_kill(void)
{
    schedule_stop(rig.child.data);
    schedule_free(rig.child.data);
    rig.child.data = NULL;
}

static inline void rig_close(void)
{
    rig_kill();
    free(CONTAINER_OF((uintptr_t)rig.child.conf, struct rig_conf, conf));
    ev_loop_destroy(rig.child.loop);
    table_unlink(&rig.table);
    table_close(&rig.table);
}

static inline uint32_t rig_add(uint32_t pool, const char *name, const struct net_addr *addr)
{
    char endpoint[NET_ADDR_STRLEN];
    struct entry_spec spec = {.name = name,
                              .endpoint = net_addr_format(addr, endpoint, sizeof(endpoint)),
                              .addr = *addr,
                              .weight = 1};
    table_lock(&rig.table);
    uint32_t index = entry_add(&rig.table, rig.rows[pool], &spec);
    table_unlock(&rig.table);
    CHECK(index != INDEX_NONE);
    return index;
}

static inline void rig_remove(uint32_t index)
{
    table_lock(&rig.table);
    entry_remove(&rig.table, index);
    table_unlock(&rig.table);
}

/* As the master does it: offered, then adopted. */
static inline void rig_reload(struct rig_conf *next)
{
    char why[128];
    const struct conf *old = rig.child.conf;
    CHECK_EQ(health_role.offer(&rig.child, &next->conf, why, sizeof(why)), 0);
    rig.child.conf = &next->conf;
    health_role.go(&rig.child, old);
}

static inline struct entry *rig_entry(uint32_t index)
{
    return entry_at(&rig.table, index);
}

static inline enum entry_health rig_health(uint32_t index)
{
    return (enum entry_health)word_get(&rig_entry(index)->health);
}

static inline uint64_t rig_checks(uint32_t index)
{
    return count_get(&rig_entry(index)->checks_ok) + count_get(&rig_entry(index)->checks_failed);
}

#endif
