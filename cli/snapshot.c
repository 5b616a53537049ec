#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "cli/snapshot.h"
#include "shm/pool.h"
#include "shm/queue.h"
#include "shm/slot.h"

/* What an operator wants to see first. */
static int severity(enum entry_status status)
{
    static const int order[] = {
        [STATUS_UNHEALTHY] = 0, [STATUS_OVERLOADED] = 1, [STATUS_MAINTENANCE] = 2,
        [STATUS_DRAINING] = 3,  [STATUS_UNKNOWN] = 4,    [STATUS_HEALTHY] = 5};
    return order[status];
}

/* Orders by severity, and equals as the pool lists them. */
static int by_severity(const void *a, const void *b)
{
    const struct snapshot_backend *const *x = a, *const *y = b;
    int d = severity((*x)->status) - severity((*y)->status);

    return d ? d : (*x < *y ? -1 : *x > *y);
}

/* The name may be rewritten while we read when the row is used again: it always ends. */
static void copy_text(char *out, size_t cap, const char *text)
{
    snprintf(out, cap, "%.*s", (int)cap - 1, text);
}

static void take_backend(struct snapshot_backend *b, const struct table *t, uint32_t index)
{
    const struct entry *e = entry_at(t, index);

    b->entry = index;
    b->incarnation = word_get(&e->incarnation);
    copy_text(b->name, sizeof(b->name), e->name);
    copy_text(b->endpoint, sizeof(b->endpoint), e->endpoint);
    b->status = entry_status(e);
    b->backup = word_get(&e->backup) != 0;
    b->weight = entry_weight(e);
    b->inflight = entry_inflight(t, index);
    b->max_connections = word_get(&e->max_connections);
    b->requests = count_cell_sum(t, index, offsetof(struct cell, requests));
    b->failed = count_cell_sum(t, index, offsetof(struct cell, failed));
    b->status_5xx = count_cell_sum(t, index, offsetof(struct cell, status_5xx));
    (void)why_out(e, b->why);
    histo_sum_clear(&b->histo);
    histo_sum_entry(&b->histo, t, index);
}

/* Puts n backends into the order in which they are shown. 0, or -1 without memory. */
static int sort_backends(struct snapshot_backend *backends, uint32_t n)
{
    struct snapshot_backend **order = calloc(n + 1u, sizeof(*order));
    struct snapshot_backend *copy = calloc(n + 1u, sizeof(*copy));
    int rc = order && copy ? 0 : -1;

    if (rc == 0) {
        memcpy(copy, backends, n * sizeof(*copy));
        for (uint32_t i = 0; i < n; i++)
            order[i] = &copy[i];
        qsort(order, n, sizeof(struct snapshot_backend *), by_severity);
        for (uint32_t i = 0; i < n; i++)
            backends[i] = *order[i];
    }
    free(order);
    free(copy);
    return rc;
}

static int take_pool(struct snapshot *s, const struct table *t, uint32_t row, uint32_t *members)
{
    struct snapshot_pool *p = &s->pools[s->pool_count++];
    uint32_t n = entry_members(t, row, members, ENTRY_MAX);
    struct snapshot_backend *grown =
        realloc(s->backends, (s->backend_count + n + 1u) * sizeof(*grown));

    if (!grown)
        return -1;
    s->backends = grown;
    copy_text(p->name, sizeof(p->name), pool_at(t, row)->name);
    p->first = s->backend_count;
    p->count = n;
    p->queue = queue_length(t, row);
    p->no_backend = count_pcell_sum(t, row, offsetof(struct pcell, no_backend));
    for (uint32_t i = 0; i < n; i++) {
        take_backend(&grown[p->first + i], t, members[i]);
        p->usable += entry_usable(entry_at(t, members[i]));
    }
    s->backend_count += n;
    return sort_backends(grown + p->first, n);
}

/* Nobody left, some gone, requests that wait, all well. */
static int trouble(const struct snapshot_pool *p)
{
    if (p->count && p->usable == 0)
        return 0;
    return p->usable < p->count ? 1 : p->queue ? 2 : 3;
}

static int by_trouble(const void *a, const void *b)
{
    const struct snapshot_pool *x = a, *y = b;
    int d = trouble(x) - trouble(y);

    return d ? d : (x->first > y->first) - (x->first < y->first);
}

static int take_pools(struct snapshot *s, const struct table *t)
{
    uint32_t high = word_get(&t->header->pools_high);
    uint32_t *members = malloc(ENTRY_MAX * sizeof(*members));
    int rc = 0;

    high = high < POOL_MAX ? high : POOL_MAX;
    s->pools = calloc(high + 1u, sizeof(*s->pools));
    if (!members || !s->pools)
        rc = -1;
    for (uint32_t row = 0; rc == 0 && row < high; row++)
        if (word_get(&pool_at(t, row)->state) == ROW_LIVE)
            rc = take_pool(s, t, row, members);
    if (rc == 0 && s->pool_count)
        qsort(s->pools, s->pool_count, sizeof(*s->pools), by_trouble);
    free(members);
    return rc;
}

static void take_totals(struct snapshot *s, const struct table *t)
{
    uint32_t high = word_get(&t->header->listeners_high);

#define SUM(field) count_lcell_sum(t, i, offsetof(struct lcell, field))
    for (uint32_t i = 0; i < high && i < LISTENER_MAX; i++) {
        s->requests += SUM(requests);
        s->finished += SUM(finished);
        s->failed += SUM(failed);
        s->aborted += SUM(aborted);
        s->status_5xx += SUM(status_5xx);
        s->bytes_in += SUM(bytes_in);
        s->bytes_out += SUM(bytes_out);
        histo_sum_listener(&s->histo, t, i);
    }
#undef SUM
}

static void take_process(struct snapshot *s, const struct table *t, uint32_t i)
{
    const struct slot *slot = &t->slots[i];
    enum slot_role role = (enum slot_role)word_get(&slot->role);
    uint64_t age_us = slot_heartbeat_age_us(t, i, s->mono_us);

    if (role == SLOT_EMPTY || word_get(&slot->state) == SLOT_FREE)
        return;
    struct snapshot_process *p = &s->processes[s->process_count++];
    *p = (struct snapshot_process){.pid = word_get(&slot->pid),
                                   .clients = word_get(&t->header->clients[i]),
                                   .state = (enum slot_state)word_get(&slot->state),
                                   .requests = count_get(&slot->requests),
                                   .restarts = count_get(&slot->restarts),
                                   .still_ms = age_us == UINT64_MAX ? 0 : age_us / 1000};
    if (role == SLOT_WORKER || role == SLOT_SAMPLE)
        snprintf(p->title, sizeof(p->title), "%s %u", slot_role_name(role), word_get(&slot->index));
    else
        snprintf(p->title, sizeof(p->title), "%s", slot_role_name(role));
}

static void take_processes(struct snapshot *s, const struct table *t)
{
    const struct table_header *h = t->header;

    s->generation = word_get(&h->generation);
    s->workers = word_get(&h->workers);
    s->clients = slot_clients(t);
    s->max_connections = word_get(&h->max_connections);
    s->started_wall_ms = h->started_wall_ms;
    s->restarts = count_get(&h->restarts);
    for (uint32_t i = 0; i < SLOT_SERVICE_FIRST; i++)
        s->workers_ready += word_get(&t->slots[i].role) == SLOT_WORKER &&
                            word_get(&t->slots[i].state) == SLOT_READY;
    for (uint32_t i = 0; i < SLOT_MAX; i++)
        take_process(s, t, i);
}

int snapshot_take(struct snapshot *s, const struct instance *i)
{
    const struct table *t = &i->table;

    *s = (struct snapshot){.mono_us = clock_mono_us(), .wall_ms = clock_wall_ms(), .pid = i->pid};
    s->alive = table_master_alive(t);
    s->stopped = s->alive && instance_is_stopped(i);
    histo_sum_clear(&s->histo);
    take_processes(s, t);
    take_totals(s, t);
    if (take_pools(s, t) == 0)
        return 0;
    snapshot_free(s);
    return -1;
}

void snapshot_free(struct snapshot *s)
{
    free(s->pools);
    free(s->backends);
    *s = (struct snapshot){0};
}

const struct snapshot_backend *snapshot_match(const struct snapshot *earlier,
                                              const struct snapshot_backend *b, uint32_t hint)
{
    if (!earlier)
        return NULL;
    for (uint32_t i = 0; i < earlier->backend_count; i++) {
        uint32_t at = (hint + i) % earlier->backend_count;
        const struct snapshot_backend *e = &earlier->backends[at];
        if (e->entry == b->entry && e->incarnation == b->incarnation)
            return e;
    }
    return NULL;
}

double snapshot_seconds(const struct snapshot *earlier, const struct snapshot *later)
{
    return earlier ? (double)(later->mono_us - earlier->mono_us) / 1e6 : 0;
}

void snapshot_histo_since(struct histo_sum *out, const struct histo_sum *earlier,
                          const struct histo_sum *later)
{
    *out = *later;
    if (!earlier)
        return;
    out->count = 0;
    for (uint32_t i = 0; i < HISTO_BUCKETS; i++) {
        out->buckets[i] -= earlier->buckets[i];
        out->count += out->buckets[i];
    }
}
