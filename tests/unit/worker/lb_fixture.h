/* tests/unit/worker/lb_fixture.h: a table with one pool, for the algorithm tests. */
#ifndef BALLAST_TESTS_LB_FIXTURE_H
#define BALLAST_TESTS_LB_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include "shm/entry.h"
#include "shm/pool.h"
#include "shm/slot.h"
#include "worker/lb/lb.h"

struct fixture {
    struct table table;
    uint32_t pool;
    struct lb_view view;
    uint64_t now_us;
};

static inline void fixture_open(struct fixture *f)
{
    char why[256] = "";
    if (table_create(&f->table, "", why, sizeof why) == -1) {
        fprintf(stderr, "table_create: %s\n", why);
        exit(1);
    }
    table_unlink(&f->table);
    table_lock(&f->table);
    f->pool = pool_add(&f->table, "p");
    table_unlock(&f->table);
    for (uint32_t slot = 0; slot < 4; slot++)
        if (slot_claim(&f->table, slot, SLOT_WORKER, slot) == -1)
            exit(1);
}

static inline uint32_t fixture_add(struct fixture *f, uint32_t weight, bool backup)
{
    static unsigned number;
    char name[32];
    snprintf(name, sizeof name, "b%u", number++);
    struct entry_spec spec = {
        .name = name, .endpoint = "127.0.0.1:1", .weight = weight, .backup = backup};
    net_addr_from_sockaddr(&spec.addr,
                           (const struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET},
                           sizeof(struct sockaddr_in));
    table_lock(&f->table);
    uint32_t entry = entry_add(&f->table, f->pool, &spec);
    table_unlock(&f->table);
    if (entry == INDEX_NONE)
        exit(1);
    entry_set_health(&f->table, entry, HEALTH_HEALTHY);
    return entry;
}

static inline void fixture_view(struct fixture *f, const char *algorithm)
{
    table_lock(&f->table);
    lb_prepare(&f->table, f->pool, lb_find(algorithm));
    table_unlock(&f->table);
    lb_view_init(&f->view, &f->table, f->pool, lb_find(algorithm));
    if (lb_view_refresh(&f->view, f->now_us) == -1)
        exit(1);
}

/* One pick without anything tried: an entry index. */
static inline uint32_t fixture_pick(struct fixture *f)
{
    static uint64_t draws;
    struct lb_request r = {
        .random = hash_mix64(draws), .key = hash_mix64(~draws), .now_us = f->now_us};
    draws++;
    if (lb_view_refresh(&f->view, f->now_us) == -1)
        exit(1);
    return f->view.algorithm->select(&f->view, &r);
}

/* A pick whose place is reserved on a slot, as the data path does. */
static inline uint32_t fixture_take(struct fixture *f, uint32_t slot)
{
    uint32_t entry = fixture_pick(f);
    if (entry == INDEX_NONE)
        return INDEX_NONE;
    uint32_t incarnation = word_get(&entry_at(&f->table, entry)->incarnation);
    return entry_reserve(&f->table, entry, incarnation, slot) ? entry : INDEX_NONE;
}

/* A request that is over at once. */
static inline uint32_t fixture_request(struct fixture *f)
{
    uint32_t entry = fixture_take(f, 0);
    if (entry != INDEX_NONE)
        entry_release(&f->table, entry, 0);
    return entry;
}

#endif
