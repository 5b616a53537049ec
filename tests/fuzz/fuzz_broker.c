/* Clients of the broker: whatever they say and write, in whatever order they come, go and are
 * disconnected, and whatever happens to backends and the broker meanwhile, the sums are those of
 * the cells, limits hold, and when all is over nothing is left. */
#include <stdint.h>

#include "base/log.h"
#include "tests/unit/broker/rig.h"

#define CLIENTS   6u
#define STEPS_MAX 200
#define NEAR      16u /* rows and seats: the first free one is taken */

struct client {
    int fd;
    struct purse *purse;
    uint32_t row;
};
static struct client clients[CLIENTS];
static const uint8_t *at, *end;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t byte(void)
{
    return at < end ? *at++ : 0;
}

static uint32_t word(void)
{
    uint32_t w = byte();
    return w | (uint32_t)byte() << 8 | (uint32_t)byte() << 16 | (uint32_t)byte() << 24;
}

/* ---- what is true at any time ---- */

static uint32_t check_row(uint32_t row, uint32_t *entries, uint32_t *pools)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < RIG_ENTRIES; i++) {
        uint32_t held = grant_held(&rig.table, row, rig.entries[i]);
        entries[i] += held;
        pools[i == 2] += held;
        sum += held;
    }
    return sum;
}

static void check_loans(void)
{
    const struct broker *b = rig_broker();
    uint32_t connections = 0, rows = 0, live = 0;
    for (uint32_t i = 0; i < NEAR; i++) {
        const struct loan *l = b->seats[i];
        if (!l)
            continue;
        uint32_t entries[RIG_ENTRIES] = {0}, pools[RIG_POOLS] = {0};
        connections += l->fd != -1;
        rows += l->row != INDEX_NONE;
        assert(l->row == INDEX_NONE || check_row(l->row, entries, pools) == loan_held(l));
        assert(loan_held(l) <= RIG_EACH);
    }
    for (uint32_t row = 0; row < NEAR; row++)
        live += word_get(&rig.table.grants[row].state) == ROW_LIVE;
    assert(connections == b->connections && connections <= RIG_LEASES);
    assert(rows == b->rows && rows == live);
}

static void check_sums(void)
{
    uint32_t entries[RIG_ENTRIES] = {0}, pools[RIG_POOLS] = {0};
    for (uint32_t row = 0; row < NEAR; row++)
        (void)check_row(row, entries, pools);
    for (uint32_t i = 0; i < RIG_ENTRIES; i++)
        assert(entry_inflight(&rig.table, rig.entries[i]) == entries[i]);
    for (uint32_t i = 0; i < RIG_POOLS; i++)
        assert(pool_inflight(&rig.table, rig.pools[i].row) == pools[i]);
    assert(entries[0] <= RIG_LIMIT);
}

/* ---- steps ---- */

static void leave(struct client *c)
{
    if (c->fd != -1)
        close(c->fd);
    c->fd = -1;
}

static void come(struct client *c)
{
    leave(c);
    c->fd = rig_connect();
}

static void ask(struct client *c)
{
    static const uint32_t rows[] = {INDEX_NONE, 0, 1, GRANT_MAX};
    uint8_t how = byte();
    uint32_t entry = rig.entries[how % RIG_ENTRIES];
    struct purse_question q = {.type = (how >> 2) % 7u,
                               .seq = how,
                               .row = how & 0x80 ? c->row : rows[(how >> 5) & 3],
                               .entry = entry,
                               .want = byte(),
                               .id = (uint64_t)(c - clients)};
    q.incarnation = word_get(&entry_at(&rig.table, entry)->incarnation);
    if (byte() == 0x77)
        q.entry = word();
    rig_say(c->fd, q);
}

static void babble(struct client *c)
{
    size_t len = byte() % 64u;
    len = len < (size_t)(end - at) ? len : (size_t)(end - at);
    (void)!send(c->fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    at += len;
}

static void listen_to(struct client *c)
{
    struct purse_answer a;
    int got;
    while (rig_hear(c->fd, &a, &got)) {
        struct purse *p = got != -1 ? purse_map(got) : NULL;
        if (got != -1)
            close(got);
        if (!p)
            continue;
        purse_unmap(c->purse);
        c->purse = p;
        c->row = a.row;
    }
}

static void scribble(const struct client *c)
{
    uint32_t place = word() % sizeof *c->purse, n = byte();
    for (uint32_t i = 0; i < n && place + i < sizeof *c->purse; i++)
        ((volatile uint8_t *)c->purse)[place + i] = byte();
}

static void use(const struct client *c)
{
    uint32_t entry = rig.entries[byte() % RIG_ENTRIES];
    struct purse_record r = {.entry = entry,
                             .incarnation = word_get(&entry_at(&rig.table, entry)->incarnation),
                             .outcome = byte() % 4u,
                             .ticket = byte(),
                             .latency_us = word()};
    uint8_t how = byte();
    if (how & 1)
        (void)!purse_use(c->purse, entry);
    for (uint32_t i = 0; i < (how & 2 ? how * 8u : 1); i++)
        (void)!purse_report(c->purse, &r);
    if (how & 4)
        purse_done(c->purse, entry);
}

/* Their process ends. */
static void end_all(void)
{
    for (uint32_t i = 0; i < NEAR; i++)
        if (rig_broker()->seats[i])
            loan_end(rig_broker()->seats[i], true);
}

/* A backend goes, and another one comes, perhaps into its place. */
static void replace(uint32_t i)
{
    table_lock(&rig.table);
    entry_remove(&rig.table, rig.entries[i]);
    table_unlock(&rig.table);
    check_loans();
    for (uint32_t k = 0; k < CLIENTS; k++) /* whoever has places of it would keep its row */
        leave(&clients[k]);
    rig_end();
    rig_begin();
    end_all();
    (void)entry_sweep(&rig.table);
    rig.entries[i] = rig_entry(rig.pools[i == 2].row, i ? "b" : "a", i ? 0 : RIG_LIMIT);
}

static void sweep(void)
{
    for (uint32_t i = 0; i < NEAR; i++)
        if (rig_broker()->seats[i])
            loan_sweep(rig_broker()->seats[i]);
}

static void happen(uint8_t what)
{
    switch (what) {
    case 0: replace(byte() % 2u); break;
    case 1:
        rig_end();
        rig_begin();
        break;
    case 2: rig.conf.client_reports = !rig.conf.client_reports; break;
    case 3: broker_role.go(&rig.child, &rig.conf); break;
    default: sweep();
    }
}

static void step(void)
{
    uint8_t op = byte();
    struct client *c = &clients[(op >> 4) % CLIENTS];
    switch (op & 15u) {
    case 0: come(c); break;
    case 1: leave(c); break;
    case 2: babble(c); break;
    case 3: happen(byte() % 8u); break;
    case 4: (void)!rig_send_fd(c->fd, at, (size_t)(end - at) < 40 ? (size_t)(end - at) : 40); break;
    case 5:
        if (c->purse)
            scribble(c);
        break;
    case 6:
    case 7:
        if (c->purse)
            use(c);
        break;
    default: ask(c);
    }
    if (op & 8u || byte() & 1)
        rig_turn();
    listen_to(c);
    check_loans();
    check_sums();
}

static void finish(void)
{
    for (uint32_t i = 0; i < CLIENTS; i++) {
        leave(&clients[i]);
        purse_unmap(clients[i].purse);
        clients[i] = (struct client){.fd = -1};
    }
    rig_turn();
    end_all();
    check_loans();
    check_sums();
    assert(rig_broker()->connections == 0 && rig_broker()->rows == 0);
    for (uint32_t i = 0; i < RIG_ENTRIES; i++) {
        assert(entry_inflight(&rig.table, rig.entries[i]) == 0);
        breaker_clear(&rig.table, rig.entries[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!rig.child.loop) {
        log_set_level(LOG_LEVEL_ERROR);
        rig_make();
        for (uint32_t i = 0; i < CLIENTS; i++)
            clients[i].fd = -1;
    }
    at = data;
    end = data + size;
    rig.conf.client_reports = true;
    for (int i = 0; i < STEPS_MAX && at < end; i++)
        step();
    finish();
    return 0;
}
