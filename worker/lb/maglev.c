/*
 * worker/lb/maglev.c: one look into Maglev's table (shm/hashtable.h). A key whose backend is not
 * acceptable is hashed again, so the keys of a failed backend spread over all others by weight, and
 * come back.
 */
#include "worker/lb/algorithms.h"

#define LOOKS_MAX    256u
#define ATTEMPTS_MAX 4u /* the table was rebuilt while we read it */

static uint32_t look(const struct lb_view *v, const struct lb_request *r, const struct hashtable *h)
{
    uint64_t key = r->key;
    for (unsigned i = 0; i < LOOKS_MAX; i++, key = hash_mix64(key + 1)) {
        uint32_t entry = hashtable_maglev_at(h, key);
        if (lb_acceptable(v, r, entry) && lb_has_room(v, r, entry, 1))
            return entry;
    }
    return INDEX_NONE;
}

static uint32_t select_place(const struct lb_view *v, const struct lb_request *r)
{
    struct hashtable h;
    for (unsigned i = 0; i < ATTEMPTS_MAX; i++) {
        if (!hashtable_open(v->table, v->pool, HASHTABLE_MAGLEV, &h))
            break;
        uint32_t entry = look(v, r, &h);
        if (!hashtable_current(v->table, v->pool, &h))
            continue;
        if (entry != INDEX_NONE)
            return entry;
        break;
    }
    return lb_select_by_key(v, r);
}

const struct lb_algorithm lb_maglev = {
    .name = "maglev",
    .help =
        "As `consistent_hash` with one look-up whatever the number of backends, and more even; a "
        "few keys of other backends may move too.",
    .cost = "O(1)",
    .key = LB_KEY_CONFIGURED,
    .table = HASHTABLE_MAGLEV,
    .select = select_place,
};
