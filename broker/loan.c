/* broker/loan.c: what one client holds. See broker/broker_int.h. */
#include "broker/broker_int.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "shm/breaker.h"
#include "shm/pool.h"

#define WANT_MAX     32u
#define READ_AT_ONCE 64u
#define SWEEP_ROUND  256u
#define GRANTED_US   500000u /* who asked waits for an answer half as long */

/* ---- seats ---- */

static void on_death(struct ev_loop *loop UNUSED, ev_io *w, int events UNUSED)
{
    struct loan *l = w->data;
    MAGIC_CHECK(l, LOAN_MAGIC);
    loan_died(l);
}

/* Its descriptors may live on in a child of it: the end of the process counts. */
static void watch_process(struct loan *l)
{
    if (l->pid > 0)
        l->pidfd = (int)syscall(SYS_pidfd_open, l->pid, 0);
    if (l->pidfd == -1)
        return;
    ev_io_init(&l->death, on_death, l->pidfd, EV_READ);
    l->death.data = l;
    ev_io_start(l->broker->child->loop, &l->death);
}

struct loan *loan_new(struct broker *b, int fd, pid_t pid)
{
    uint32_t seat = 0;
    while (seat < SEATS && b->seats[seat])
        seat++;
    struct loan *l = seat < SEATS ? calloc(1, sizeof *l) : NULL;
    if (!l)
        return NULL;
    MAGIC_SET(l, LOAN_MAGIC);
    l->broker = b;
    l->row = INDEX_NONE;
    l->seat = seat;
    l->fd = fd;
    l->pid = pid;
    l->pidfd = -1;
    l->start_ticks = grant_start_ticks((uint32_t)pid);
    l->since_us = clock_mono_us();
    b->seats[seat] = l;
    b->connections += fd != -1;
    watch_process(l);
    return l;
}

static void hang_up(struct loan *l)
{
    if (l->fd == -1)
        return;
    ev_io_stop(l->broker->child->loop, &l->io);
    if (door_close(l->broker, l->fd))
        l->broker->connections--;
    l->fd = -1;
}

static void read_reports(struct loan *l)
{
    struct purse_record records[READ_AT_ONCE];
    uint32_t n = l->purse ? READ_AT_ONCE : 0;
    for (uint32_t all = 0; n == READ_AT_ONCE && all < PURSE_RECORDS; all += n) {
        n = purse_read(l->purse, &l->tail, records, READ_AT_ONCE);
        for (uint32_t i = 0; i < n; i++)
            report_take(l, &records[i]);
    }
}

static void drop_purse(struct loan *l)
{
    if (l->purse)
        close(l->purse_fd);
    purse_unmap(l->purse);
    l->purse = NULL;
    l->tail = 0;
}

void loan_end(struct loan *l, bool give_back)
{
    struct broker *b = l->broker;
    read_reports(l);
    hang_up(l);
    if (l->row != INDEX_NONE) {
        report_drop_tickets(l);
        if (give_back)
            grant_close(b->child->table, l->row);
        b->rows--;
    }
    if (l->pidfd != -1) {
        ev_io_stop(b->child->loop, &l->death);
        close(l->pidfd);
    }
    drop_purse(l);
    b->seats[l->seat] = NULL;
    free(l->entries);
    MAGIC_CLEAR(l);
    free(l);
}

uint32_t loan_held(const struct loan *l)
{
    return l->row == INDEX_NONE ? 0 : word_get(&l->broker->child->table->grants[l->row].held);
}

void loan_lost(struct loan *l)
{
    hang_up(l);
    loan_sweep(l);
}

/* ---- what it holds ---- */

static bool note_entry(struct loan *l, uint32_t entry)
{
    for (uint32_t i = 0; i < l->entry_count; i++)
        if (l->entries[i] == entry)
            return true;
    if (l->entry_count == l->entry_cap) {
        uint32_t cap = l->entry_cap ? l->entry_cap * 2 : 16;
        uint32_t *grown = realloc(l->entries, cap * sizeof *grown);
        if (!grown)
            return false;
        l->entries = grown;
        l->entry_cap = cap;
    }
    l->entries[l->entry_count++] = entry;
    return true;
}

/* By what the table says it has. */
static bool note_all(struct loan *l)
{
    const struct table *t = l->broker->child->table;
    uint32_t cells = word_get(&t->grants[l->row].cells_reserved);
    for (uint32_t i = 0; i < cells; i++)
        if (grant_held(t, l->row, i) && !note_entry(l, i))
            return false;
    return true;
}

/* ---- rows ---- */

static uint32_t free_row(const struct broker *b)
{
    uint32_t most = b->child->conf->client_leases;
    for (uint32_t row = 0; row < GRANT_MAX && b->rows < most; row++)
        if (word_get(&b->child->table->grants[row].state) == ROW_FREE)
            return row;
    return INDEX_NONE;
}

struct loan *loan_find_own(const struct loan *l, uint32_t row, uint64_t id)
{
    struct broker *b = l->broker;
    if (row >= GRANT_MAX || count_get(&b->child->table->grants[row].id) != id)
        return NULL;
    for (uint32_t i = 0; i < SEATS && l->pid && l->start_ticks; i++) {
        struct loan *other = b->seats[i];
        if (other && other != l && other->row == row && other->pid == l->pid &&
            other->start_ticks == l->start_ticks)
            return other;
    }
    return NULL;
}

void loan_take_over(struct loan *l, struct loan *other)
{
    ev_io_stop(l->broker->child->loop, &other->io);
    hang_up(l);
    l->fd = other->fd;
    other->fd = -1;
    door_watch(l);
    loan_end(other, true);
}

void loan_begin(struct loan *l, uint64_t id)
{
    l->row = free_row(l->broker);
    if (l->row == INDEX_NONE)
        return;
    grant_open(l->broker->child->table, l->row, (uint32_t)l->pid, l->start_ticks, id);
    l->broker->rows++;
}

bool loan_has_purse(struct loan *l)
{
    const struct table *t = l->broker->child->table;
    if (!l->settled)
        drop_purse(l);
    if (l->row == INDEX_NONE || l->purse)
        return l->purse != NULL;
    l->purse = purse_create(&l->purse_fd);
    for (uint32_t i = 0; l->purse && i < l->entry_count; i++)
        purse_grant(l->purse, l->entries[i], grant_held(t, l->row, l->entries[i]));
    return l->purse != NULL;
}

/* That its process lives is asked once more when it is watched: else it may be another one's by
 * now, with the same number. */
static void recover(struct broker *b, uint32_t row)
{
    struct table *t = b->child->table;
    struct loan *l = loan_new(b, -1, (pid_t)word_get(&t->grants[row].pid));
    if (!l) {
        log_warning("a lease is given up: no memory");
        grant_close(t, row);
        return;
    }
    l->row = row;
    b->rows++;
    bool lives = grant_lives(t, row), watched = l->pidfd != -1, noted = note_all(l);
    if (lives && (!watched || !noted))
        log_warning("a lease is given up: its client cannot be watched, or no memory");
    if (!lives)
        loan_died(l);
    else if (!watched || !noted || loan_held(l) == 0)
        loan_end(l, true);
}

void loans_recover(struct broker *b)
{
    struct table *t = b->child->table;
    grant_recover(t);
    for (uint32_t row = 0; row < GRANT_MAX; row++)
        if (word_get(&t->grants[row].state) == ROW_LIVE)
            recover(b, row);
}

/* ---- sweeping ---- */

static void drop_empty(struct loan *l)
{
    const struct table *t = l->broker->child->table;
    for (uint32_t i = 0; i < l->entry_count;)
        if (grant_held(t, l->row, l->entries[i]) == 0)
            l->entries[i] = l->entries[--l->entry_count];
        else
            i++;
}

/* Who asked for a place has perhaps not got to it yet: on a busy machine that takes a while. */
static bool is_on_its_way(const struct loan *l, uint32_t entry)
{
    return entry == l->granted_entry && l->fd != -1 && l->granted_us &&
           clock_mono_us() < l->granted_us + GRANTED_US;
}

/* What a place was used for was reported before it became idle: so idle ones are taken out of the
 * purse, then reports are counted, for which the lease must have the place, then it goes. */
static void sweep_some(struct loan *l, const uint32_t *entries, uint32_t n)
{
    struct table *t = l->broker->child->table;
    uint32_t idle[SWEEP_ROUND];
    for (uint32_t i = 0; i < n; i++)
        idle[i] = is_on_its_way(l, entries[i])
                      ? 0
                      : purse_take_idle(l->purse, entries[i], grant_held(t, l->row, entries[i]));
    read_reports(l);
    for (uint32_t i = 0; i < n; i++)
        grant_give(t, l->row, entries[i], idle[i]);
}

static void take_idle(struct loan *l)
{
    if (!l->purse || !l->settled)
        return;
    for (uint32_t i = 0; i < l->entry_count; i += SWEEP_ROUND)
        sweep_some(l, &l->entries[i],
                   l->entry_count - i < SWEEP_ROUND ? l->entry_count - i : SWEEP_ROUND);
    report_drop_idle_tickets(l);
    drop_empty(l);
}

void loan_died(struct loan *l)
{
    struct grant_totals *totals = l->broker->child->table->grant_totals;
    l->granted_us = 0; /* nothing is on its way any more */
    take_idle(l);      /* perhaps it said goodbye, and is not heard yet */
    uint32_t held = loan_held(l);
    count_add(&totals->died, held != 0);
    count_add(&totals->reclaimed, held);
    loan_end(l, true);
}

void loan_sweep(struct loan *l)
{
    if (l->fd == -1 && l->pidfd == -1) { /* its process cannot be watched: it ended, then */
        loan_died(l);
        return;
    }
    take_idle(l);
    if (l->fd == -1 && loan_held(l) == 0)
        loan_end(l, true);
}

/* ---- granting ---- */

static struct loan_ticket *spare_ticket(struct loan *l, uint32_t entry)
{
    struct loan_ticket *spare = NULL;
    for (uint32_t i = 0; i < LOAN_TICKETS; i++) {
        struct loan_ticket *k = &l->tickets[i];
        if (k->count && k->entry == entry)
            return k;
        if (!k->count)
            spare = k;
    }
    return spare;
}

/* Those of an earlier turn are void. */
static void keep_ticket(struct loan_ticket *k, const struct purse_question *q, uint32_t ticket)
{
    bool same = k->entry == q->entry && k->incarnation == q->incarnation && k->ticket == ticket;
    *k = (struct loan_ticket){q->entry, q->incarnation, ticket, same ? k->count + 1 : 1};
}

/* False: the breaker lets nobody through. */
static bool admit(struct loan *l, const struct conf_pool *p, uint32_t entry,
                  struct loan_ticket **kept, uint32_t *ticket)
{
    struct table *t = l->broker->child->table;
    *ticket = BREAKER_NO_TICKET;
    *kept = NULL;
    if (!p->breaker || breaker_state(entry_at(t, entry)) == BREAKER_CLOSED)
        return true;
    struct breaker_rule rule = {p->breaker->failure_threshold, p->breaker->success_threshold,
                                p->breaker->timeout_ms};
    *kept = spare_ticket(l, entry);
    return *kept && breaker_admit(t, entry, &rule, ticket);
}

static enum purse_say say_of(enum grant_result result)
{
    switch (result) {
    case GRANT_OK: return PURSE_GRANTED;
    case GRANT_FULL: return PURSE_FULL;
    case GRANT_POOL_FULL: return PURSE_POOL_FULL;
    case GRANT_GONE: break;
    }
    return PURSE_REFUSED;
}

/* What it may ask for: within its lease. */
static uint32_t want_of(const struct loan *l, uint32_t want)
{
    uint32_t most = l->broker->child->conf->client_lease_connections;
    uint32_t held = loan_held(l), left = held < most ? most - held : 0;
    want = want < 1 ? 1 : want > WANT_MAX ? WANT_MAX : want;
    return want < left ? want : left;
}

static const struct conf_pool *pool_of(const struct loan *l, uint32_t entry)
{
    const struct table *t = l->broker->child->table;
    if (entry >= word_get(&t->header->entries_high))
        return NULL;
    uint32_t pool = word_get(&entry_at(t, entry)->pool);
    return pool < POOL_MAX ? l->broker->pools[pool] : NULL;
}

static void follow_time(const struct loan *l, const struct conf_pool *p)
{
    const struct child *c = l->broker->child;
    pool_recheck(c->table, p->row, c->slot, p->breaker ? p->breaker->timeout_ms : 0,
                 clock_mono_us());
}

static void lend(struct loan *l, const struct purse_question *q, struct purse_answer *a)
{
    struct table *t = l->broker->child->table;
    const struct conf_pool *p = pool_of(l, q->entry);
    struct loan_ticket *kept;
    uint32_t ticket, want = want_of(l, q->want);
    a->result = !p ? PURSE_REFUSED : want == 0 ? PURSE_POOL_FULL : PURSE_GRANTED;
    if (a->result != PURSE_GRANTED)
        return;
    follow_time(l, p);
    if (!note_entry(l, q->entry) || !admit(l, p, q->entry, &kept, &ticket)) {
        a->result = PURSE_REFUSED;
        return;
    }
    a->result =
        say_of(grant_take(t, l->row, q->entry, q->incarnation, ticket ? 1 : want, &a->granted));
    if (a->granted == 0) {
        breaker_return(t, q->entry, ticket);
        return;
    }
    if (ticket)
        keep_ticket(kept, q, ticket);
    a->ticket = ticket;
    l->granted_entry = q->entry;
    l->granted_us = clock_mono_us();
    purse_grant(l->purse, q->entry, a->granted);
    broker_watch(l->broker);
}

void loan_take(struct loan *l, const struct purse_question *q, struct purse_answer *a)
{
    struct grant_totals *totals = l->broker->child->table->grant_totals;
    lend(l, q, a);
    count_add(&totals->places, a->granted);
    count_add(a->result == PURSE_GRANTED   ? &totals->granted
              : a->result == PURSE_REFUSED ? &totals->refused
                                           : &totals->full,
              1);
}
