#include "master/adopt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "shm/cache.h"
#include "shm/breaker.h"
#include "shm/clients.h"
#include "master/access_logs.h"
#include "shm/override.h"
#include "shm/passive.h"
#include "shm/pool.h"
#include "shm/stick.h"
#include "worker/lb/lb.h"

/* ---- a pool's members by name
 * ------------------------------------------------------------------------------ */
struct member {
    const char *name;
    uint32_t entry;
};
struct members {
    struct member *items;
    uint32_t count;
};

static int by_name(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int read_members(const struct table *t, uint32_t pool, struct members *out)
{
    uint32_t *indexes = malloc(ENTRY_MAX * sizeof *indexes);
    out->items = NULL;
    out->count = indexes == NULL ? 0 : entry_members(t, pool, indexes, ENTRY_MAX);
    if (indexes != NULL)
        out->items = calloc(out->count + 1, sizeof *out->items);
    for (uint32_t i = 0; out->items != NULL && i < out->count; i++)
        out->items[i] = (struct member){entry_at(t, indexes[i])->name, indexes[i]};
    free(indexes);
    if (out->items == NULL)
        return -1;
    qsort(out->items, out->count, sizeof *out->items, by_name);
    return 0;
}

/* The member that this backend continues: same name, same address. INDEX_NONE: it is a new one. */
static uint32_t find_same(const struct table *t, const struct members *ms,
                          const struct conf_backend *b)
{
    struct member key = {.name = b->name};
    const struct member *hit = bsearch(&key, ms->items, ms->count, sizeof key, by_name);
    if (hit == NULL || !net_addr_equal(&entry_at(t, hit->entry)->addr, &b->addr))
        return INDEX_NONE;
    return hit->entry;
}

/* ---- preparing
 * --------------------------------------------------------------------------------------------- */
static void spec_of(const struct conf_backend *b, char *endpoint, size_t cap,
                    struct entry_spec *out)
{
    *out = (struct entry_spec){.name = b->name,
                               .endpoint = net_addr_format(&b->addr, endpoint, cap),
                               .addr = b->addr,
                               .weight = b->weight,
                               .max_connections = b->max_connections,
                               .backup = b->backup,
                               .origin = ORIGIN_CONF};
}

static int add_backend(struct table *t, uint32_t pool, struct conf_backend *b, struct adoption *a,
                       struct conf_errors *errors)
{
    char endpoint[NET_ADDR_STRLEN];
    struct entry_spec spec;
    spec_of(b, endpoint, sizeof endpoint, &spec);
    spec.weight = 0; /* until the generation serves */
    errno = 0;
    b->entry = entry_add(t, pool, &spec);
    if (b->entry == INDEX_NONE) {
        conf_errors_add(errors, b->pos, "no place for backend \"%s\": %s", b->name,
                        errno == ENOSPC ? "/dev/shm is full"
                                        : "the table holds all the backends it can");
        return -1;
    }
    uint32_t incarnation = word_get(&entry_at(t, b->entry)->incarnation);
    a->added[a->added_count++] = (struct added_entry){b->entry, incarnation};
    return 0;
}

static int prepare_backends(struct table *t, struct conf_pool *p, struct adoption *a,
                            struct conf_errors *errors)
{
    struct members ms;
    if (read_members(t, p->row, &ms) == -1) {
        conf_errors_add(errors, p->pos, "out of memory");
        return -1;
    }
    int result = 0;
    for (uint32_t i = 0; i < p->backend_count && result == 0; i++) {
        if (p->backends[i].resolve_ms != 0) /* the health process finds its entries */
            continue;
        p->backends[i].entry = find_same(t, &ms, &p->backends[i]);
        if (p->backends[i].entry == INDEX_NONE)
            result = add_backend(t, p->row, &p->backends[i], a, errors);
    }
    free(ms.items);
    return result;
}

static bool needs_sticks(const struct conf_pool *p)
{
    return p->sticky &&
           (p->sticky->type == CONF_STICKY_HEADER || p->sticky->type == CONF_STICKY_CLIENT_IP);
}

/* Sessions of datagrams are found again when the number of workers changes. */
static int prepare_udp(struct table *t, const struct conf *c, struct conf_errors *errors)
{
    for (uint32_t i = 0; i < c->listener_count; i++)
        if (c->listeners[i].protocol == CONF_UDP && stick_reserve(t) == -1) {
            conf_errors_add(errors, c->listeners[i].pos,
                            "no room for the sessions of listener \"%s\": /dev/shm is full",
                            c->listeners[i].name);
            return -1;
        }
    return 0;
}

static int prepare_pool(struct table *t, struct conf_pool *p, struct adoption *a,
                        struct conf_errors *errors)
{
    p->row = pool_find(t, p->name);
    if (p->row == INDEX_NONE)
        p->row = pool_add(t, p->name);
    if (p->row == INDEX_NONE) {
        conf_errors_add(errors, p->pos, "no place for pool \"%s\" in the table", p->name);
        return -1;
    }
    if (needs_sticks(p) && stick_reserve(t) == -1) {
        conf_errors_add(errors, p->pos, "no room for the sessions of pool \"%s\": /dev/shm is full",
                        p->name);
        return -1;
    }
    /* While the old generation still serves it keeps its table: the new kind then comes at commit.
     */
    const struct lb_algorithm *algorithm = lb_find(p->balance);
    if (word_get(&pool_at(t, p->row)->hash_kind) == HASHTABLE_NONE)
        hashtable_set_kind(t, p->row, algorithm->table);
    if (word_get(&pool_at(t, p->row)->loads_kind) == LOADS_NONE)
        loads_set_kind(t, p->row, algorithm->loads);
    return prepare_backends(t, p, a, errors);
}

static int prepare_listener(struct table *t, struct conf_listener *l, struct conf_errors *errors)
{
    l->row = listener_find(t, l->name);
    if (l->row == INDEX_NONE)
        l->row = listener_add(t, l->name);
    if (l->row != INDEX_NONE)
        return 0;
    conf_errors_add(errors, l->pos, "no place for listener \"%s\" in the table", l->name);
    return -1;
}

static int prepare_rates(struct table *t, struct conf *conf, struct conf_errors *errors)
{
    for (struct conf_rate_limit *r = conf->rate_limits; r != NULL; r = r->next) {
        r->row = rate_acquire(t, r->owner, r->fingerprint, &r->plan);
        if (r->row != INDEX_NONE)
            continue;
        conf_errors_add(
            errors, r->pos,
            "%s: no room in shared memory for a rate limit of %u entries (%llu KiB): %s", r->owner,
            r->entries, (unsigned long long)rate_bytes(&r->plan) / 1024,
            errno == ENOSPC ? "/dev/shm is full, or there are too many limits" : strerror(errno));
        return -1;
    }
    return 0;
}

static int prepare_clients(struct table *t, const struct conf *conf, struct conf_errors *errors)
{
    bool wanted = false;
    for (uint32_t i = 0; i < conf->listener_count; i++)
        wanted |= conf->listeners[i].limits.connections_per_client > 0;
    if (!wanted || clients_prepare(t, conf->max_connections) == 0)
        return 0;
    conf_errors_add(errors, (struct conf_pos){0},
                    "no room in shared memory for limits.connections_per_client: %s",
                    strerror(errno));
    return -1;
}

static int prepare_cache(struct table *t, const struct conf *conf, struct conf_errors *errors)
{
    if (!conf->cache.wanted || cache_prepare(t, conf->cache.size_bytes) == 0)
        return 0;
    conf_errors_add(errors, (struct conf_pos){conf->path, 0},
                    "cache: no room in shared memory for size = %llu MiB: %s",
                    (unsigned long long)conf->cache.size_bytes >> 20, strerror(errno));
    return -1;
}

static int prepare_rows(struct table *t, struct conf *conf, struct adoption *a,
                        struct conf_errors *errors)
{
    if (prepare_rates(t, conf, errors) == -1 || prepare_clients(t, conf, errors) == -1 ||
        prepare_udp(t, conf, errors) == -1 || prepare_cache(t, conf, errors) == -1)
        return -1;
    for (uint32_t i = 0; i < conf->listener_count; i++)
        if (prepare_listener(t, &conf->listeners[i], errors) == -1)
            return -1;
    for (uint32_t i = 0; i < conf->pool_count; i++)
        if (prepare_pool(t, &conf->pools[i], a, errors) == -1)
            return -1;
    return 0;
}

static uint32_t count_backends(const struct conf *conf)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < conf->pool_count; i++)
        n += conf->pools[i].backend_count;
    return n;
}

int adopt_prepare(struct master *m, struct conf *conf, struct adoption *a,
                  struct conf_errors *errors)
{
    *a = (struct adoption){.added = calloc(count_backends(conf) + 1, sizeof *a->added)};
    if (a->added == NULL) {
        conf_errors_add(errors, (struct conf_pos){0}, "out of memory");
        return -1;
    }
    (void)entry_sweep(&m->table); /* usually admin's work, but admin may be off */
    table_lock(&m->table);
    int result = prepare_rows(&m->table, conf, a, errors);
    table_unlock(&m->table);
    return result;
}

/* ---- committing
 * -------------------------------------------------------------------------------------------- */
static bool named_by(const struct conf_pool *p, const struct members *ms, uint32_t at)
{
    const struct member *mine = &ms->items[at];
    for (uint32_t i = 0; i < p->backend_count; i++)
        if (strcmp(p->backends[i].name, mine->name) == 0)
            return true;
    return false;
}

/* A member goes when the configuration put it there and no longer names it, or when another backend
 * has its name now. */
static void remove_others(struct table *t, const struct conf_pool *p, const bool *configured)
{
    struct members ms;
    if (read_members(t, p->row, &ms) == -1) {
        log_error("out of memory: removed backends of pool %s stay until the next reload", p->name);
        return;
    }
    for (uint32_t i = 0; i < ms.count; i++) {
        uint32_t entry = ms.items[i].entry;
        bool from_file = word_get(&entry_at(t, entry)->origin) == ORIGIN_CONF;
        if (!configured[entry] && (from_file || named_by(p, &ms, i)))
            entry_remove(t, entry);
    }
    free(ms.items);
}

/* Admin may have removed it since it was prepared; then nobody brings it back before the next
 * reload. */
static bool still_there(const struct table *t, const struct conf_pool *p,
                        const struct conf_backend *b)
{
    const struct entry *e = entry_at(t, b->entry);
    return word_get(&e->state) == ROW_LIVE && word_get(&e->pool) == p->row &&
           strcmp(e->name, b->name) == 0;
}

/* An override ends when the file changes that very field. */
static void file_wins(struct table *t, uint32_t entry, const struct entry_spec *spec)
{
    const struct entry *e = entry_at(t, entry);
    if (override_is_set(e, OVERRIDE_WEIGHT) && word_get(&e->weight) != spec->weight)
        override_clear(t, entry, OVERRIDE_WEIGHT);
}

/* What workers found out by rules that are no more is forgotten. */
static void commit_policy(struct table *t, const struct conf_pool *p)
{
    struct members ms;
    word_set(&pool_at(t, p->row)->max_connections, p->max_connections);
    if ((p->breaker && p->passive.max_fails) || read_members(t, p->row, &ms) == -1)
        return;
    for (uint32_t i = 0; i < ms.count; i++) {
        if (!p->breaker)
            breaker_clear(t, ms.items[i].entry);
        if (!p->passive.max_fails)
            passive_clear(t, ms.items[i].entry);
    }
    free(ms.items);
}

static void commit_pool(struct table *t, const struct conf_pool *p, bool *configured)
{
    for (uint32_t i = 0; i < p->backend_count; i++) {
        char endpoint[NET_ADDR_STRLEN];
        struct entry_spec spec;
        if (p->backends[i].resolve_ms != 0 || !still_there(t, p, &p->backends[i]))
            continue;
        spec_of(&p->backends[i], endpoint, sizeof endpoint, &spec);
        file_wins(t, p->backends[i].entry, &spec);
        entry_configure(t, p->backends[i].entry, &spec);
        configured[p->backends[i].entry] = true;
    }
    remove_others(t, p, configured);
    commit_policy(t, p);
    lb_prepare(t, p->row, lb_find(p->balance));
    pool_set_policy(t, p->row, lb_key_kind(lb_find(p->balance), p->hash_key),
                    p->all_down == CONF_ALL_DOWN_TRY);
    ramp_configure(t, p->row, p->slow_start_ms);
    pool_set_max_load(t, p->row, p->max_load_milli);
}

void adopt_commit(struct master *m, const struct conf *conf, struct adoption *a)
{
    static bool configured[ENTRY_MAX]; /* by entry; one master per process */
    memset(configured, 0, sizeof configured);
    table_lock(&m->table);
    for (uint32_t i = 0; i < conf->pool_count; i++)
        commit_pool(&m->table, &conf->pools[i], configured);
    for (uint32_t i = 0; i < conf->listener_count; i++)
        word_set(&m->table.listeners[conf->listeners[i].row].max_connections,
                 conf->listeners[i].max_connections);
    word_set(&m->table.header->max_connections, conf->max_connections);
    word_set(&m->table.header->workers, conf->workers);
    table_unlock(&m->table);
    free(a->added);
    *a = (struct adoption){0};
    adopt_sweep(m);
}

void adopt_abort(struct master *m, struct adoption *a)
{
    table_lock(&m->table);
    for (uint32_t i = 0; i < a->added_count; i++) {
        const struct entry *e = entry_at(&m->table, a->added[i].entry);
        if (word_get(&e->state) == ROW_LIVE && word_get(&e->incarnation) == a->added[i].incarnation)
            entry_remove(&m->table, a->added[i].entry);
    }
    table_unlock(&m->table);
    free(a->added);
    *a = (struct adoption){0};
    adopt_sweep(m);
}

/* ---- rows that nobody names any more
 * -------------------------------------------------------------------------- */
static void sweep_rates(struct master *m)
{
    bool wanted[RATE_MAX] = {false};
    for (const struct generation *g = m->generations; g != NULL; g = g->next)
        for (const struct conf_rate_limit *r = g->conf->rate_limits; r != NULL; r = r->next)
            if (r->row < RATE_MAX)
                wanted[r->row] = true;
    rate_sweep(&m->table, wanted);
}

static void mark(const struct table *t, const struct conf *conf, bool *pools, bool *listeners)
{
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        uint32_t row =
            conf->pools[i].row; /* 0 in a generation without rows yet: so look at the name */
        if (row < POOL_MAX && strcmp(pool_at(t, row)->name, conf->pools[i].name) == 0)
            pools[row] = true;
    }
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        uint32_t row = conf->listeners[i].row;
        if (row < LISTENER_MAX && strcmp(t->listeners[row].name, conf->listeners[i].name) == 0)
            listeners[row] = true;
    }
}

void adopt_sweep(struct master *m)
{
    struct table *t = &m->table;
    bool pools[POOL_MAX] = {false}, listeners[LISTENER_MAX] = {false};
    if (!m->table_made)
        return;
    table_lock(t);
    for (const struct generation *g = m->generations; g != NULL; g = g->next)
        mark(t, g->conf, pools, listeners);
    for (uint32_t i = 0; i < word_get(&t->header->pools_high); i++)
        if (word_get(&pool_at(t, i)->state) == ROW_LIVE && !pools[i])
            pool_remove(t, i);
    for (uint32_t i = 0; i < word_get(&t->header->listeners_high); i++)
        if (word_get(&t->listeners[i].state) == ROW_LIVE && !listeners[i])
            listener_remove(t, i);
    sweep_rates(m);
    table_unlock(t);
    access_logs_sweep(m);
}
