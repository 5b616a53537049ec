/*
 * conf/names.h: a set of names with a number each, for "was this said before?" in constant time.
 * Scopes keep the keys of one group apart from those of another. Keys are not copied and must
 * outlive the set.
 */
#ifndef BALLAST_CONF_NAMES_H
#define BALLAST_CONF_NAMES_H

#include "base/arena.h"
#include "base/base.h"

#define NAMES_NONE UINT32_MAX

struct names_slot {
    const char *key; /* NULL: free */
    uint64_t hash;
    uint32_t scope, value;
};
struct names {
    struct arena *arena;
    struct names_slot *slots;
    uint32_t cap, count; /* cap: a power of two, or 0 */
};

void names_init(struct names *n, struct arena *arena);
/* Adds a name. NAMES_NONE when it is new, or the value it has already (which stays). */
uint32_t names_add(struct names *n, uint32_t scope, const char *key, uint32_t value);
uint32_t names_find(const struct names *n, uint32_t scope, const char *key); /* or NAMES_NONE */

#endif
