/*
 * client/pick.c: the pick, as worker/pick.c makes it. A place is reserved by a lease where the
 * instance gives them (client/lease.h); else a backend's limit is compared with what the table
 * shows and this client has in flight. See client/ballast_client.h.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/key.h"
#include "client/lease.h"
#include "shm/breaker.h"
#include "shm/latency.h"

_Static_assert(BALLAST_TRIED_MAX == LB_TRIED_MAX, "a pick remembers what a request does");
_Static_assert(sizeof(((struct ballast_pick *)0)->backend) == NAME_MAX_BYTES, "a name fits");
_Static_assert(sizeof(((struct ballast_pick *)0)->endpoint) == NET_ADDR_STRLEN, "an address fits");

/* ---- the key ---- */

static uint64_t hash_address(struct key_part part)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t ip[16];
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (part.len >= sizeof text)
        return key_hash_part(part);
    memcpy(text, part.at, part.len);
    text[part.len] = '\0';
    if (inet_pton(AF_INET, text, ip) == 1)
        return key_hash_part((struct key_part){(const char *)ip, 4});
    if (inet_pton(AF_INET6, text, ip) != 1)
        return key_hash_part(part);
    bool is_mapped = memcmp(ip, mapped, sizeof mapped) == 0;
    return key_hash_part(
        (struct key_part){(const char *)ip + (is_mapped ? 12 : 0), is_mapped ? 4 : 16});
}

static uint64_t hash_key(uint32_t kind, struct key_part part)
{
    switch (kind) {
    case POOL_KEY_ADDRESS: return hash_address(part);
    case POOL_KEY_HOST: return key_hash_part_host(part);
    default: return key_hash_part(part);
    }
}

/* ---- one backend ---- */

static bool has_room(const struct lb_view *v, uint32_t entry)
{
    uint32_t limit = word_get(&entry_at(v->table, entry)->max_connections);
    return limit == 0 || lb_inflight(v, entry) < limit;
}

static bool is_probe(const struct lb_view *v, uint32_t entry)
{
    return UNLIKELY(breaker_state(entry_at(v->table, entry)) != BREAKER_CLOSED);
}

/* A breaker that is not closed lets probes through. Their tickets are the workers': one request of
 * ours at a time. */
static bool breaker_lets(const struct lb_view *v, uint32_t entry)
{
    return !is_probe(v, entry) || lb_own_row(v, entry)->inflight == 0;
}

/* By the lease. What the broker says of more than this backend ends the search. */
static bool borrow(struct ballast_client *c, const struct lb_view *v, uint32_t entry,
                   uint32_t incarnation, struct ballast_pick *out)
{
    bool probe = is_probe(v, entry);
    switch (lease_take(c, entry, incarnation, probe, &out->private_.ticket)) {
    case LEASE_TAKEN: out->private_.lease = c->lease.number; return true;
    case LEASE_POOL_FULL: c->refusal = BALLAST_FULL; break;
    case LEASE_LOST: c->refusal = BALLAST_FALLBACK; break;
    case LEASE_FULL:
    case LEASE_REFUSED: break;
    }
    return false;
}

static bool reserve(struct ballast_client *c, const struct lb_view *v, uint32_t entry,
                    uint32_t incarnation, struct ballast_pick *out)
{
    out->private_.lease = out->private_.ticket = 0;
    if (lb_own_row(v, entry)->incarnation != incarnation)
        return false;
    return lease_wanted(c) ? borrow(c, v, entry, incarnation, out) : breaker_lets(v, entry);
}

static bool take(struct ballast_client *c, struct client_pool *p, uint32_t entry,
                 struct ballast_pick *out)
{
    const struct lb_view *v = &p->view;
    struct entry_copy copy;
    if (entry >= ENTRY_MAX || c->refusal != BALLAST_OK || !has_room(v, entry) ||
        !entry_copy(v->table, entry, v->pool, &copy) ||
        !reserve(c, v, entry, copy.incarnation, out))
        return false;
    lb_own_take(v, entry, copy.incarnation);
    memcpy(&out->address, &copy.addr.u, copy.addr.len_bytes);
    out->address_len = copy.addr.len_bytes;
    memcpy(out->backend, copy.name, sizeof out->backend);
    memcpy(out->endpoint, copy.endpoint, sizeof out->endpoint);
    out->slot = entry;
    out->generation = copy.incarnation;
    return true;
}

/* ---- among all ---- */

/* More members than `tried` holds said no: look at every one. */
static bool scan(struct ballast_client *c, struct client_pool *p, const struct lb_request *r,
                 struct ballast_pick *out)
{
    const struct lb_view *v = &p->view;
    for (uint32_t m = 0; m < v->count; m++)
        if (!lb_tried(r, v->members[m].entry) && lb_has_room(v, r, v->members[m].entry, 1) &&
            take(c, p, v->members[m].entry, out))
            return true;
    return false;
}

static bool choose(struct ballast_client *c, struct client_pool *p, struct lb_request *r,
                   struct ballast_pick *out)
{
    uint32_t failed = r->tried_count, entry;
    bool taken = false;
    while (p->view.count && !taken && c->refusal == BALLAST_OK &&
           (entry = p->view.algorithm->select(&p->view, r)) != INDEX_NONE) {
        taken = take(c, p, entry, out);
        if (!taken && r->tried_count == LB_TRIED_MAX) {
            taken = scan(c, p, r, out);
            break;
        }
        if (!taken)
            r->tried[r->tried_count++] = entry;
    }
    r->tried_count = failed;
    return taken;
}

static bool choose_beyond(struct ballast_client *c, struct client_pool *p, struct lb_request *r,
                          struct ballast_pick *out)
{
    if (word_get(&pool_at(p->view.table, p->view.pool)->max_load_milli) == 0)
        return false;
    r->unbounded = true;
    return choose(c, p, r, out);
}

/* Without memory for all, as many as there is room for. */
static void make_room(struct client_pool *p, uint32_t count)
{
    uint32_t *grown = count <= ENTRY_MAX ? realloc(p->everybody, count * sizeof *grown) : NULL;
    if (!grown)
        return;
    p->everybody = grown;
    p->everybody_cap = count;
}

static uint32_t read_everybody(struct client_pool *p)
{
    uint32_t count = word_get(&pool_at(p->view.table, p->view.pool)->count);
    if (count > p->everybody_cap)
        make_room(p, count);
    return entry_members(p->view.table, p->view.pool, p->everybody, p->everybody_cap);
}

/* Nobody is usable, and the pool asks them all the same: the next one that nobody turned off. */
static bool choose_anyone(struct ballast_client *c, struct client_pool *p,
                          const struct lb_request *r, struct ballast_pick *out)
{
    const struct table *t = p->view.table;
    if (p->view.count || !word_get(&pool_at(t, p->view.pool)->all_down_try))
        return false;
    uint32_t count = read_everybody(p);
    uint64_t start = cursor_next(p->view.cursor);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t entry = p->everybody[(start + i) % count];
        const struct entry *e = entry_at(t, entry);
        bool on = word_get(&e->mode) == MODE_ENABLED && entry_weight(e) > 0;
        if (on && !lb_tried(r, entry) && take(c, p, entry, out))
            return true;
    }
    return false;
}

static bool any_left(const struct lb_view *v, const struct lb_request *r)
{
    for (uint32_t m = 0; m < v->count; m++)
        if (!lb_tried(r, v->members[m].entry))
            return true;
    return false;
}

static bool pool_is_full(const struct lb_view *v)
{
    uint32_t limit = word_get(&pool_at(v->table, v->pool)->max_connections);
    return limit && lb_pool_inflight(v) >= limit;
}

static enum ballast_result choose_from(struct ballast_client *c, struct client_pool *p,
                                       uint64_t now_us, struct ballast_pick *out)
{
    struct lb_request r = {.key = out->private_.key,
                           .now_us = now_us,
                           .random = client_random(c),
                           .tried_count = out->private_.tried_count};
    memcpy(r.tried, out->private_.tried, sizeof r.tried);
    c->refusal = BALLAST_OK;
    if (!lease_wanted(c) && pool_is_full(&p->view))
        return p->view.count ? BALLAST_FULL : BALLAST_NONE;
    if (!choose(c, p, &r, out) && !choose_beyond(c, p, &r, out) && !choose_anyone(c, p, &r, out))
        return c->refusal != BALLAST_OK ? c->refusal
               : any_left(&p->view, &r) ? BALLAST_FULL
                                        : BALLAST_NONE;
    out->private_.epoch = c->epoch;
    out->private_.pool = p->number;
    out->private_.is_out = 1;
    out->stale = !c->fresh;
    return BALLAST_OK;
}

/* ---- the pick ---- */

/* Not chosen: only the fallback, if there is one. */
static void fall_back(const struct ballast_client *c, struct ballast_pick *out)
{
    out->private_.is_out = 0;
    out->backend[0] = out->endpoint[0] = '\0';
    out->slot = INDEX_NONE;
    out->generation = 0;
    out->stale = 0;
    memcpy(&out->address, &c->fallback.u, c->fallback.len_bytes);
    out->address_len = c->fallback.len_bytes;
}

static bool can_choose(struct ballast_client *c, uint64_t now_us)
{
    client_look(c, now_us);
    return c->table.base && (c->fresh || c->keep_when_stale);
}

/* key NULL: the pick has one. */
static enum ballast_result pick_from(struct ballast_client *c, struct client_pool *p,
                                     const struct key_part *key, uint64_t now_us,
                                     struct ballast_pick *out)
{
    enum ballast_result result = p ? pool_refresh(c, p, now_us) : BALLAST_NO_POOL;
    if (result != BALLAST_OK)
        return result;
    uint32_t kind = word_get(&pool_at(&c->table, p->row)->key_kind);
    if (key && kind != POOL_KEY_NONE)
        out->private_.key = key->at ? hash_key(kind, *key) : client_random(c);
    return choose_from(c, p, now_us, out);
}

enum ballast_result ballast_pick(struct ballast_client *c, const char *pool, const void *key,
                                 size_t key_len, struct ballast_pick *out)
{
    const struct key_part part = {key, key_len};
    enum ballast_result result = BALLAST_FALLBACK;
    memset(&out->private_, 0, sizeof out->private_);
    client_lock(c);
    uint64_t now_us = clock_mono_us();
    if (can_choose(c, now_us))
        result = pick_from(c, pool_named(c, pool), &part, now_us, out);
    if (result != BALLAST_OK)
        fall_back(c, out);
    client_unlock(c);
    return result;
}

/* ---- what became of it ---- */

static void note(struct ballast_client *c, struct client_pool *p, struct lb_own_row *row,
                 enum ballast_outcome outcome, uint64_t latency_us)
{
    uint64_t now_us = clock_mono_us();
    if (outcome == BALLAST_SUCCESS)
        row->fails = 0;
    if (outcome == BALLAST_SUCCESS && latency_us) {
        latency_feed_word(&row->latency, latency_us, now_us);
        latency_feed_word(&p->own.latency, latency_us, now_us);
    }
    if (outcome == BALLAST_FAILURE)
        latency_feed_word(&row->latency, LATENCY_FAILED_US, now_us);
    if (outcome == BALLAST_FAILURE && ++row->fails >= c->max_fails) {
        row->out_until_us = now_us + c->fail_timeout_us;
        p->view.built = false;
    }
}

static void give_back(struct ballast_client *c, const struct ballast_pick *pick,
                      enum ballast_outcome outcome, uint64_t latency_us)
{
    static const uint32_t outcomes[] = {[BALLAST_SUCCESS] = PURSE_SUCCESS,
                                        [BALLAST_FAILURE] = PURSE_FAILURE,
                                        [BALLAST_ABANDONED] = PURSE_ABANDONED};
    const struct purse_record record = {
        .entry = pick->slot,
        .incarnation = pick->generation,
        .outcome = (size_t)outcome < ARRAY_LEN(outcomes) ? outcomes[outcome] : PURSE_ABANDONED,
        .ticket = pick->private_.ticket,
        .latency_us = latency_us};
    lease_done(c, &record);
}

static void report(struct ballast_client *c, const struct ballast_pick *pick,
                   enum ballast_outcome outcome, uint64_t latency_us)
{
    struct client_pool *p = c->pools[pick->private_.pool];
    struct lb_own_row *row = &c->rows[pick->slot];
    if (p->own.inflight)
        p->own.inflight--;
    if (pick->private_.lease && pick->private_.lease == c->lease.number)
        give_back(c, pick, outcome, latency_us);
    if (row->incarnation != pick->generation) /* another backend has the slot by now */
        return;
    if (row->inflight)
        row->inflight--;
    note(c, p, row, outcome, latency_us);
}

static bool is_ours(const struct ballast_client *c, const struct ballast_pick *pick)
{
    return pick->private_.epoch == c->epoch && pick->private_.pool < c->pool_count;
}

static void report_once(struct ballast_client *c, struct ballast_pick *pick,
                        enum ballast_outcome outcome, uint64_t latency_us)
{
    if (pick->private_.is_out && is_ours(c, pick) && pick->slot < ENTRY_MAX)
        report(c, pick, outcome, latency_us);
    pick->private_.is_out = 0;
}

void ballast_report(struct ballast_client *c, struct ballast_pick *pick,
                    enum ballast_outcome outcome, uint64_t latency_us)
{
    client_lock(c);
    report_once(c, pick, outcome, latency_us);
    client_unlock(c);
}

static void mark_tried(struct ballast_pick *pick)
{
    if (pick->slot != INDEX_NONE && pick->private_.tried_count < BALLAST_TRIED_MAX)
        pick->private_.tried[pick->private_.tried_count++] = pick->slot;
}

enum ballast_result ballast_pick_other(struct ballast_client *c, struct ballast_pick *pick)
{
    enum ballast_result result = BALLAST_FALLBACK;
    client_lock(c);
    uint64_t now_us = clock_mono_us();
    report_once(c, pick, BALLAST_ABANDONED, 0);
    mark_tried(pick);
    if (can_choose(c, now_us) && is_ours(c, pick))
        result = pick_from(c, c->pools[pick->private_.pool], NULL, now_us, pick);
    if (result != BALLAST_OK)
        fall_back(c, pick);
    client_unlock(c);
    return result;
}

const char *ballast_result_name(enum ballast_result result)
{
    static const char *const names[] = {[BALLAST_OK] = "ok",
                                        [BALLAST_FALLBACK] = "fallback",
                                        [BALLAST_NONE] = "none",
                                        [BALLAST_FULL] = "full",
                                        [BALLAST_NO_POOL] = "no pool"};
    return (size_t)result < ARRAY_LEN(names) ? names[result] : "unknown";
}
