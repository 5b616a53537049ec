#include "proc/plan.h"

#include <stdio.h>
#include <string.h>
#include "conf/names.h"
#include "shm/count.h"
#include "shm/override.h"
#include "shm/pool.h"

#define COUNTED_MAX 256u /* backends whose requests are counted one by one */

enum scope { BEFORE, LIVE };

/* ---- whom a change touches ---- */

static const struct conf_listener *find_listener(const struct conf *c, const char *name)
{
    for (uint32_t i = 0; c != NULL && i < c->listener_count; i++)
        if (strcmp(c->listeners[i].name, name) == 0)
            return &c->listeners[i];
    return NULL;
}

static const struct conf_pool *find_pool(const struct conf *c, const char *name)
{
    for (uint32_t i = 0; c != NULL && i < c->pool_count; i++)
        if (strcmp(c->pools[i].name, name) == 0)
            return &c->pools[i];
    return NULL;
}

static const struct conf_backend *find_backend(const struct conf_pool *p, const char *name)
{
    for (uint32_t i = 0; p != NULL && i < p->backend_count; i++)
        if (strcmp(p->backends[i].name, name) == 0)
            return &p->backends[i];
    return NULL;
}

/* The listener of the other configuration that has one of these addresses. */
static const struct conf_listener *heir_of(const struct conf *to, const struct conf_listener *l)
{
    for (uint32_t i = 0; i < to->listener_count; i++)
        for (uint32_t b = 0; b < to->listeners[i].bind_count; b++)
            for (uint32_t mine = 0; mine < l->bind_count; mine++)
                if (net_addr_equal(&to->listeners[i].binds[b].addr, &l->binds[mine].addr) &&
                    to->listeners[i].protocol == l->protocol)
                    return &to->listeners[i];
    return NULL;
}

static uint64_t active_on(const struct table *t, const char *listener)
{
    uint32_t row = listener_find(t, listener);
    return row == INDEX_NONE ? 0 : count_lcell_sum(t, row, offsetof(struct lcell, active));
}

static void say_listener(struct plan *p, const struct table *t, const struct conf *from,
                         const struct conf *to, struct conf_change *c, struct arena *arena)
{
    const struct conf_listener *l = find_listener(from, c->listener);
    const struct conf_listener *heir = l == NULL ? NULL : heir_of(to, l);
    uint64_t active = active_on(t, c->listener);
    if (heir != NULL) {
        c->text = arena_printf(arena, "%s: its %llu connections go on as those of listener %s",
                               c->text, (unsigned long long)active, heir->name);
        return;
    }
    p->connections += active;
    c->text =
        arena_printf(arena, "%s: %llu connections drain", c->text, (unsigned long long)active);
}

static void say_backend(struct plan *p, const struct table *t, struct conf_change *c,
                        struct arena *arena)
{
    uint32_t pool = pool_find(t, c->pool);
    uint32_t entry = pool == INDEX_NONE ? INDEX_NONE : entry_find(t, pool, c->backend);
    uint32_t in_flight = entry == INDEX_NONE ? 0 : entry_inflight(t, entry);
    p->in_flight += in_flight;
    c->text = arena_printf(arena, "%s: %u requests in flight finish", c->text, in_flight);
}

static void say_whom(struct plan *p, const struct table *t, const struct conf *from,
                     const struct conf *to, struct arena *arena)
{
    uint32_t counted = 0;
    for (struct conf_change *c = p->changes; c != NULL; c = c->next) {
        p->change_count++;
        if (c->kind == CONF_REMOVED && c->listener != NULL)
            say_listener(p, t, from, to, c, arena);
        else if (c->kind == CONF_REMOVED && c->backend != NULL && counted++ < COUNTED_MAX)
            say_backend(p, t, c, arena);
    }
}

/* ---- overrides ---- */

struct notes {
    struct arena *arena;
    struct plan_note **last;
};

static void note(struct notes *n, bool superseded, const char *text)
{
    struct plan_note *line = ARENA_NEW(n->arena, struct plan_note);
    *line = (struct plan_note){.text = text, .superseded = superseded};
    *n->last = line;
    n->last = &line->next;
}

static void note_weight(struct notes *n, const char *pool, const struct entry *e, uint32_t now)
{
    uint32_t value = word_get(&e->weight_override), before = word_get(&e->weight);
    if (now != before)
        note(n, true,
             arena_printf(n->arena,
                          "pool %s: backend %s: weight: the file changes it from %u to %u: the "
                          "override %u ends",
                          pool, e->name, before, now, value));
    else
        note(n, false,
             arena_printf(n->arena,
                          "pool %s: backend %s: weight: the override %u stays, the file says %u",
                          pool, e->name, value, now));
}

static void note_overrides(struct notes *n, const struct table *t, const struct conf_pool *p,
                           uint32_t entry)
{
    const struct entry *e = &t->entries[entry];
    const struct conf_backend *b = find_backend(p, e->name);
    bool from_file = word_get(&e->origin) == ORIGIN_CONF;
    if (b != NULL && from_file && !net_addr_equal(&b->addr, &e->addr))
        return; /* another backend takes its name */
    if (b == NULL && from_file)
        return; /* it goes, and what was said of it */
    if (override_is_set(e, OVERRIDE_WEIGHT))
        note_weight(n, p->name, e, b == NULL ? word_get(&e->weight) : b->weight);
    if (override_is_set(e, OVERRIDE_MODE))
        note(n, false,
             arena_printf(n->arena, "pool %s: backend %s: mode: the override %s stays", p->name,
                          e->name, entry_mode_name((enum entry_mode)word_get(&e->mode))));
}

/* Backends of the file that the API removed come back with the file. */
static void note_removed(struct notes *n, const struct table *t, uint32_t row,
                         const struct conf_pool *from, const struct conf_pool *to)
{
    struct arena scratch;
    struct names names;
    arena_init(&scratch);
    names_init(&names, &scratch);
    for (uint32_t i = 0; i < from->backend_count; i++)
        names_add(&names, BEFORE, from->backends[i].name, i);
    for (uint32_t i = word_get(&pool_at(t, row)->head), steps = 0;
         i < ENTRY_MAX && steps < ENTRY_MAX; i = word_get(&t->entries[i].next), steps++)
        names_add(&names, LIVE, t->entries[i].name, i);
    for (uint32_t i = 0; i < to->backend_count; i++) {
        const char *name = to->backends[i].name;
        if (to->backends[i].resolve_ms != 0) /* a name is no member, its addresses are */
            continue;
        if (names_find(&names, BEFORE, name) != NAMES_NONE &&
            names_find(&names, LIVE, name) == NAMES_NONE)
            note(n, true,
                 arena_printf(
                     n->arena,
                     "pool %s: backend %s: the API removed it, the file has it: it comes back",
                     to->name, name));
    }
    arena_free(&scratch);
}

static void note_pool(struct notes *n, const struct table *t, const struct conf *from,
                      const struct conf_pool *p)
{
    uint32_t row = pool_find(t, p->name), of_file = 0, steps = 0;
    const struct conf_pool *before = find_pool(from, p->name);
    if (row == INDEX_NONE)
        return;
    for (uint32_t i = word_get(&pool_at(t, row)->head); i < ENTRY_MAX && steps < ENTRY_MAX;
         i = word_get(&t->entries[i].next), steps++) {
        of_file += word_get(&t->entries[i].origin) == ORIGIN_CONF;
        if (override_is_set(&t->entries[i], OVERRIDE_WEIGHT) ||
            override_is_set(&t->entries[i], OVERRIDE_MODE))
            note_overrides(n, t, p, i);
    }
    if (before != NULL && of_file < before->backend_count)
        note_removed(n, t, row, before, p);
}

/* ---- what cannot be adopted ---- */

static void refuse(struct plan *p, struct arena *arena, const char *what, const char *before,
                   const char *now)
{
    if (strcmp(before, now) != 0)
        p->refusals[p->refusal_count++] = arena_printf(
            arena, "changing %s from \"%s\" to \"%s\" needs a restart", what, before, now);
}

/* How many there are may change, not whether there is a broker. */
static const char *leases(const struct conf *c)
{
    return c->client_leases ? "some" : "none";
}

struct plan plan_make(const struct table *t, const struct conf *from, const struct conf *to,
                      struct arena *arena)
{
    struct plan p = {.changes = conf_plan(from, to, arena)};
    struct notes n = {.arena = arena, .last = &p.overrides};
    say_whom(&p, t, from, to, arena);
    for (uint32_t i = 0; i < to->pool_count; i++)
        note_pool(&n, t, from, &to->pools[i]);
    for (const struct plan_note *line = p.overrides; line != NULL; line = line->next)
        p.superseded += line->superseded;
    if (from != NULL) {
        refuse(&p, arena, "user", from->user, to->user);
        refuse(&p, arena, "table_group", from->table_group, to->table_group);
        refuse(&p, arena, "pid_file", from->pid_file, to->pid_file);
        refuse(&p, arena, "client_leases", leases(from), leases(to));
    }
    return p;
}

void plan_write(struct json *j, const struct plan *p, uint32_t most)
{
    uint32_t left = most;
    json_key(j, "changes");
    json_array_begin(j);
    for (const struct conf_change *c = p->changes; c != NULL && left-- > 0; c = c->next)
        json_string(j, c->text);
    json_array_end(j);
    json_key(j, "overrides");
    json_array_begin(j);
    left = most;
    for (const struct plan_note *n = p->overrides; n != NULL && left-- > 0; n = n->next)
        json_string(j, n->text);
    json_array_end(j);
    json_kv_uint(j, "connections", p->connections);
    json_kv_uint(j, "in_flight", p->in_flight);
}
