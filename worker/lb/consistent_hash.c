/*
 * worker/lb/consistent_hash.c: the ring (shm/hashtable.h): the first acceptable backend at or after
 * the key's point. One that is not usable is walked past, so only its own keys go elsewhere, each
 * to another neighbour, and they come back with it. ip_hash and url_hash are the same with another
 * key.
 */
#include "worker/lb/algorithms.h"

#define WALK_MAX     1024u /* points; after so many that nobody accepts nearly all are down */
#define ATTEMPTS_MAX 4u    /* the table was rebuilt while we read it */

static uint32_t walk(const struct lb_view *v, const struct lb_request *r, const struct hashtable *h)
{
    uint32_t at = hashtable_ring_find(h, r->key), last = INDEX_NONE;
    uint32_t steps = h->count < WALK_MAX ? h->count : WALK_MAX;
    for (uint32_t i = 0; i < steps; i++, at = at + 1 == h->count ? 0 : at + 1) {
        uint32_t entry = hashtable_ring_at(h, at);
        if (entry != last && lb_acceptable(v, r, entry) && lb_has_room(v, r, entry, 1))
            return entry;
        last = entry;
    }
    return INDEX_NONE;
}

uint32_t lb_select_on_ring(const struct lb_view *v, const struct lb_request *r)
{
    struct hashtable h;
    for (unsigned i = 0; i < ATTEMPTS_MAX; i++) {
        if (!hashtable_open(v->table, v->pool, HASHTABLE_RING, &h))
            break;
        uint32_t entry = walk(v, r, &h);
        if (!hashtable_current(v->table, v->pool, &h))
            continue;
        if (entry != INDEX_NONE)
            return entry;
        break;
    }
    return lb_select_by_key(v, r);
}

const struct lb_algorithm lb_consistent_hash = {
    .name = "consistent_hash",
    .help =
        "The same key (`hash_key`) goes to the same backend; when one comes or goes only its own "
        "share of the keys moves. A ring with 150 points per unit of weight.",
    .cost = "O(log n)",
    .key = LB_KEY_CONFIGURED,
    .table = HASHTABLE_RING,
    .select = lb_select_on_ring,
};
