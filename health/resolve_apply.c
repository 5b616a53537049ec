#include "health/resolve_apply.h"

#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "shm/entry.h"
#include "shm/events.h"
#include "shm/pool.h"

static bool is_found_by(const struct entry *e, uint32_t source)
{
    return word_get(&e->state) == ROW_LIVE && word_get(&e->origin) == ORIGIN_DISCOVERY &&
           word_get(&e->source) == source;
}

void resolve_found_add(struct resolve_found *f, const struct resolve_address *a)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (net_addr_equal(&f->list[i].addr, &a->addr))
            return;
    if (f->count < RESOLVE_FOUND_MAX)
        f->list[f->count++] = *a;
}

static void tell(struct table *t, uint32_t slot, const char *pool, const char *name,
                 const char *from, const char *to, const char *reason)
{
    char object[2 * NAME_MAX_BYTES];
    snprintf(object, sizeof(object), "%s:%s", pool, name);
    event_write(t, slot, "discovery", object, from, to, reason);
}

/* "api.internal:8080#10.0.0.1", of a service record with the port that it names. */
static void make_name(const struct conf_backend *b, const struct net_addr *addr, char *out,
                      size_t cap)
{
    char host[NET_ADDR_STRLEN], tail[56];
    net_addr_format_host(addr, host, sizeof(host));
    int n = strncmp(b->address, "srv:", 4) == 0
                ? snprintf(tail, sizeof(tail), "#%.45s:%u", host, net_addr_port(addr))
                : snprintf(tail, sizeof(tail), "#%.45s", host);
    int room = (int)cap - 1 - n;
    snprintf(out, cap, "%.*s%s", room > 0 ? room : 0, b->name, tail);
}

static bool add(struct table *t, const struct conf_pool *pool, const struct conf_backend *b,
                uint32_t source, const struct resolve_address *a, char *name, size_t cap)
{
    char endpoint[NET_ADDR_STRLEN];
    make_name(b, &a->addr, name, cap);
    if (entry_find(t, pool->row, name) != INDEX_NONE)
        return false;
    const struct entry_spec spec = {.name = name,
                                    .endpoint =
                                        net_addr_format(&a->addr, endpoint, sizeof(endpoint)),
                                    .addr = a->addr,
                                    .weight = a->weight,
                                    .max_connections = b->max_connections,
                                    .backup = a->backup,
                                    .origin = ORIGIN_DISCOVERY,
                                    .source = source};
    if (entry_add(t, pool->row, &spec) != INDEX_NONE)
        return true;
    log_warning("no place for an address of a name: pool=%s backend=%s", pool->name, name);
    return false;
}

/* Does this entry go on as one of those found? Its settings follow. */
static bool continues(struct table *t, uint32_t index, const struct conf_backend *b,
                      struct resolve_found *left)
{
    struct entry *e = entry_at(t, index);
    for (uint32_t i = 0; i < left->count; i++) {
        const struct resolve_address *a = &left->list[i];
        if (!net_addr_equal(&a->addr, &e->addr))
            continue;
        const struct entry_spec spec = {.weight = a->weight,
                                        .max_connections = b->max_connections,
                                        .backup = a->backup,
                                        .origin = ORIGIN_DISCOVERY};
        if (word_get(&e->weight) != spec.weight || word_get(&e->backup) != spec.backup ||
            word_get(&e->max_connections) != spec.max_connections)
            entry_configure(t, index, &spec);
        left->list[i] = left->list[--left->count];
        return true;
    }
    return false;
}

void resolve_apply(struct table *t, uint32_t slot, const struct conf_pool *pool,
                   const struct conf_backend *b, uint32_t source, const struct resolve_found *f)
{
    static struct resolve_found left; /* one process, one thread */
    static uint32_t members[ENTRY_MAX];
    char name[NAME_MAX_BYTES];
    left = *f;
    table_lock(t);
    bool live = word_get(&pool_at(t, pool->row)->state) == ROW_LIVE;
    uint32_t count = live ? entry_members(t, pool->row, members, ENTRY_MAX) : 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct entry *e = entry_at(t, members[i]);
        if (!is_found_by(e, source) || continues(t, members[i], b, &left) || f->partial)
            continue;
        snprintf(name, sizeof(name), "%s", e->name);
        entry_remove(t, members[i]);
        tell(t, slot, pool->name, name, "found", "gone", "the name has other addresses now");
    }
    for (uint32_t i = 0; live && i < left.count; i++)
        if (add(t, pool, b, source, &left.list[i], name, sizeof(name)))
            tell(t, slot, pool->name, name, "", "found", "an address of the name");
    table_unlock(t);
}

static bool is_among(uint32_t source, const uint32_t *sources, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (sources[i] == source)
            return true;
    return false;
}

void resolve_forget_others(struct table *t, uint32_t slot, const uint32_t *sources, uint32_t count)
{
    uint32_t high = word_get(&t->header->entries_high);
    char name[NAME_MAX_BYTES];
    table_lock(t);
    for (uint32_t i = 0; i < high; i++) {
        const struct entry *e = entry_at(t, i);
        uint32_t source = word_get(&e->source);
        if (source == 0 || !is_found_by(e, source) || is_among(source, sources, count))
            continue;
        snprintf(name, sizeof(name), "%s", e->name);
        const char *pool = pool_at(t, word_get(&e->pool))->name;
        entry_remove(t, i);
        tell(t, slot, pool, name, "found", "gone", "not configured any more");
    }
    table_unlock(t);
}
