#include "conf/catalog.h"

#include <string.h>

#define CAP_FIRST 64u

void catalog_init(struct catalog *c, struct arena *arena)
{
    *c = (struct catalog){.cap = 0};
    names_init(&c->names, arena);
}

static void grow(struct catalog *c)
{
    uint32_t cap = c->cap ? c->cap * 2 : CAP_FIRST;
    const void **things = ARENA_ARRAY(c->names.arena, const void *, cap);
    if (c->cap)
        memcpy(things, c->things, c->cap * sizeof(const void *));
    c->things = things;
    c->cap = cap;
}

void catalog_add(struct catalog *c, const char *name, const void *thing)
{
    uint32_t at = c->names.count;
    if (names_add(&c->names, 0, name, at) != NAMES_NONE)
        return;
    if (at == c->cap)
        grow(c);
    c->things[at] = thing;
}

const void *catalog_find(const struct catalog *c, const char *name)
{
    uint32_t at = names_find(&c->names, 0, name);
    return at == NAMES_NONE ? NULL : c->things[at];
}
