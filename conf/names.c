#include "conf/names.h"

#include <string.h>
#include "base/hash.h"

/* A configuration file is no stranger's input: a fixed key is enough, and keeps runs alike. */
#define NAMES_KEY 0x62616c6c61737431ull

void names_init(struct names *n, struct arena *arena)
{
    *n = (struct names){.arena = arena};
}

static uint64_t hash_name(uint32_t scope, const char *key)
{
    return hash_bytes((struct hash_key){scope, NAMES_KEY}, key, strlen(key));
}

/* The slot of this name, or the free one where it belongs. cap is not 0. */
static struct names_slot *find_slot(const struct names *n, uint32_t scope, const char *key,
                                    uint64_t hash)
{
    uint32_t i = (uint32_t)hash & (n->cap - 1);
    for (;; i = (i + 1) & (n->cap - 1)) {
        struct names_slot *s = &n->slots[i];
        if (!s->key || (s->hash == hash && s->scope == scope && strcmp(s->key, key) == 0))
            return s;
    }
}

static void grow(struct names *n)
{
    struct names_slot *old = n->slots;
    uint32_t old_cap = n->cap;
    n->cap = old_cap ? old_cap * 2 : 64;
    n->slots = ARENA_ARRAY(n->arena, struct names_slot, n->cap);
    for (uint32_t i = 0; i < old_cap; i++)
        if (old[i].key)
            *find_slot(n, old[i].scope, old[i].key, old[i].hash) = old[i];
}

uint32_t names_add(struct names *n, uint32_t scope, const char *key, uint32_t value)
{
    if (n->count * 2 >= n->cap)
        grow(n);
    uint64_t hash = hash_name(scope, key);
    struct names_slot *s = find_slot(n, scope, key, hash);
    if (s->key)
        return s->value;
    *s = (struct names_slot){.key = key, .hash = hash, .scope = scope, .value = value};
    n->count++;
    return NAMES_NONE;
}

uint32_t names_find(const struct names *n, uint32_t scope, const char *key)
{
    if (n->cap == 0)
        return NAMES_NONE;
    const struct names_slot *s = find_slot(n, scope, key, hash_name(scope, key));
    return s->key ? s->value : NAMES_NONE;
}
