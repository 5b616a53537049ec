/* worker/cache.c: see worker/cache.h. What becomes of a request. */
#include "worker/cache.h"

#include <stdio.h>
#include <string.h>
#include "base/digits.h"
#include "conf/route.h"
#include "worker/account.h"
#include "worker/cache_int.h"
#include "worker/conn.h"
#include "worker/reply.h"
#include "worker/txn.h"

#define REFRESHES_MAX 1024u /* of a worker at a time: a backend that hangs holds no more up */

/* ---- small ones ---- */

void cache_unpin_ref(struct txn_cache *tc)
{
    struct worker *w = tc->t->worker;
    if (tc->pinned)
        cache_unpin(w->table, w->slot, &tc->ref);
    tc->pinned = false;
}

void cache_release_claim(struct txn_cache *tc)
{
    if (tc->claimed)
        cache_claim_release(tc->t->worker->table, tc->claim_hash, tc->claim);
    tc->claimed = false;
}

const struct http1_head *cache_client_head(const struct txn_cache *tc, const char **base)
{
    static struct http1_head again;
    static const struct http1_limits limits = {BUF_LARGE_BYTES, HTTP1_HEADERS_MAX};
    const struct conn *c = tc->t->conn;
    if (c->head) {
        *base = buf_at(c->in);
        return c->head;
    }
    *base = tc->text->data + tc->key_len;
    http1_head_reset(&again);
    return http1_parse_request(&again, *base, buf_len(tc->text) - tc->key_len, &limits) ==
                   HTTP1_DONE
               ? &again
               : NULL;
}

void cache_end(struct txn *t)
{
    struct txn_cache *tc = t->cache;
    struct worker *w = t->worker;
    account_cache(t, tc->quiet ? CACHE_UNSAID : (enum cache_result)tc->result);
    cache_store_end(tc);
    w->cache_refreshes -= tc->quiet;
    if (tc->quiet && !tc->kept) /* not again at once */
        cache_pass(w->table, tc->claim_hash, w->now_us);
    cache_release_claim(tc);
    cache_wait_end(tc);
    cache_unpin_ref(tc);
    buf_put(&w->bufs, tc->text);
    slab_put(&w->cache_slab, tc);
    t->cache = NULL;
    t->keeps = t->stored = t->revalidates = false;
}

/* ---- the request ---- */

static const struct conf_cache *rule_of(const struct txn *t)
{
    const struct conf_cache *route = t->route->cache;
    return route ? route : t->pool->conf->cache;
}

/* Frameworks take a request for another one by such a field. */
static bool names_method(const char *name, uint32_t len)
{
    return (len == 22 && strncasecmp(name, "x-http-method-override", 22) == 0) ||
           (len == 17 && strncasecmp(name, "x-method-override", 17) == 0) ||
           (len == 13 && strncasecmp(name, "x-http-method", 13) == 0);
}

static void read_fields(struct txn_cache *tc, const struct http1_head *h, const char *base)
{
    bool pragma = false;
    http_cache_control_init(&tc->asked);
    tc->authorized = h->present & 1ull << HTTP1_H_AUTHORIZATION || tc->t->claims ||
                     tc->t->conn->identity; /* the backend is told who it is, one way or another */
    tc->cookies = h->present & 1ull << HTTP1_H_COOKIE;
    for (uint32_t i = 0; i < h->count; i++) {
        const struct http1_header *f = &h->headers[i];
        const char *name = base + f->name.off;
        if (f->id == HTTP1_H_CACHE_CONTROL && tc->rule->client_control)
            http_cache_control_add(&tc->asked, base + f->value.off, f->value.len);
        if (f->id != HTTP1_H_OTHER)
            continue;
        tc->conditional |= f->name.len > 3 && strncasecmp(name, "if-", 3) == 0;
        tc->ranged |= f->name.len == 5 && strncasecmp(name, "range", 5) == 0;
        tc->covered |= names_method(name, f->name.len);
        pragma |= f->name.len == 6 && strncasecmp(name, "pragma", 6) == 0 &&
                  memmem(base + f->value.off, f->value.len, "no-cache", 8);
    }
    if (!(h->present & 1ull << HTTP1_H_CACHE_CONTROL))
        tc->asked.no_cache |= pragma && tc->rule->client_control;
}

/* Conditions that a cache must not judge (RFC 9111 4.3.2). */
static bool is_strict(const struct http1_head *h, const char *base)
{
    return http1_find_name(h, base, "if-match", 8) ||
           http1_find_name(h, base, "if-unmodified-since", 19);
}

static bool is_safe(const struct http1_head *h, const char *base)
{
    const char *m = base + h->method.off;
    return h->is_get || h->is_head || (h->method.len == 7 && memcmp(m, "OPTIONS", 7) == 0) ||
           (h->method.len == 5 && memcmp(m, "TRACE", 5) == 0);
}

/* What the cache has to do with this request; NULL: nothing. */
static struct txn_cache *begin(struct txn *t, const struct conf_cache *rule,
                               const struct http1_head *h, const char *base)
{
    bool reads = (h->is_get || h->is_head) && t->req_done && !h->upgrade;
    bool unsafe = !is_safe(h, base);
    struct txn_cache *tc = reads || unsafe ? slab_get(&t->worker->cache_slab) : NULL;
    if (!tc)
        return NULL;
    memset(tc, 0, sizeof *tc);
    tc->t = t;
    tc->rule = rule;
    tc->unsafe = unsafe;
    tc->patience_us = t->worker->now_us + rule->wait_ms * 1000ull;
    if (!cache_key_write(tc, h, base)) {
        buf_put(&t->worker->bufs, tc->text);
        slab_put(&t->worker->cache_slab, tc);
        return NULL;
    }
    read_fields(tc, h, base);
    return t->cache = tc;
}

/* May the whole be asked for, although the client has conditions? Not where it is likely for that
 * client alone, or known not to be kept: there its condition saves something. */
static bool may_ask_whole(const struct txn_cache *tc)
{
    const struct worker *w = tc->t->worker;
    return !tc->authorized && !tc->cookies && !cache_passes(w->table, tc->hash, w->now_us);
}

void cache_fetch(struct txn_cache *tc, const struct http1_head *h, const char *base)
{
    struct worker *w = tc->t->worker;
    tc->result = tc->pinned ? CACHE_EXPIRED : CACHE_MISS;
    tc->fetches = h->is_get && (!tc->impatient || tc->claimed);
    tc->asked_us = w->now_us;
    tc->claim_hash = tc->hash;
    tc->guard = cache_guard_of(w->table, tc->address);
    if (buf_reserve(&w->bufs, &tc->text, h->head_bytes))
        buf_append(tc->text, base, h->head_bytes);
    else
        tc->fetches = false;
    if (tc->pinned && tc->fetches) {
        char conditions[CACHE_CONDITIONS_BYTES];
        tc->t->revalidates = cache_conditions(tc->t, conditions) > 0;
    }
    tc->whole = tc->quiet || tc->t->revalidates || (tc->fetches && may_ask_whole(tc));
}

static bool fetch(struct txn_cache *tc, const struct http1_head *h, const char *base)
{
    cache_fetch(tc, h, base);
    return true;
}

/* To the backend, and nothing is kept. */
static bool bypass(struct txn_cache *tc)
{
    cache_unpin_ref(tc);
    tc->result = CACHE_BYPASS;
    return true;
}

static bool serve_now(struct txn_cache *tc, enum cache_result how)
{
    cache_serve(tc, how);
    return false;
}

/* One that came since this request did is as new as anybody can ask for. */
static bool is_fresh(const struct txn_cache *tc)
{
    const struct cache_about *a = cache_about(tc->t->worker->table, &tc->ref);
    if (tc->waited && a->made_us >= tc->t->started_us && cache_age_s(tc) < a->fresh_s)
        return true;
    return http_cache_fresh_for(&tc->asked, cache_age_s(tc), a->fresh_s, a->must_revalidate);
}

static bool is_stale(const struct txn_cache *tc)
{
    return cache_age_s(tc) >= cache_about(tc->t->worker->table, &tc->ref)->fresh_s;
}

/* Only one of many asks the backend. */
static bool fetch_for_many(struct txn_cache *tc, const struct http1_head *h, const char *base)
{
    struct worker *w = tc->t->worker;
    tc->claim_hash = tc->hash;
    switch (cache_claim(w->table, w->slot, tc->hash, ++w->cache_serial, &tc->claim)) {
    case CACHE_UNCLAIMED: return fetch(tc, h, base);
    case CACHE_CLAIMED: tc->claimed = true; break;
    case CACHE_HELD:
        if (tc->rule->wait_ms == 0)
            return fetch(tc, h, base);
        cache_unpin_ref(tc);
        cache_wait(tc);
        return false;
    }
    cache_unpin_ref(tc); /* it may have come between the look and the claim */
    tc->pinned = cache_key_find(tc, h, base);
    if (!tc->pinned || !is_fresh(tc))
        return fetch(tc, h, base);
    cache_release_claim(tc);
    return serve_now(tc, CACHE_HIT);
}

static bool refuse(struct txn_cache *tc)
{
    cache_unpin_ref(tc);
    tc->t->end = "only-if-cached";
    reply_error(tc->t, 504, "Not in the cache");
    return false;
}

/* Alone: those that nobody can wait for, or whom waiting does not help. */
static bool goes_alone(const struct txn_cache *tc, const struct http1_head *h)
{
    const struct worker *w = tc->t->worker;
    return tc->impatient || h->is_head || (tc->conditional && !tc->pinned && !may_ask_whole(tc)) ||
           cache_passes(w->table, tc->hash, w->now_us);
}

/* Nobody is waited for any longer. Who fetches it may be held up by a client that does not read:
 * the first of those that waited takes its place. */
static bool fetch_alone(struct txn_cache *tc, const struct http1_head *h, const char *base)
{
    struct worker *w = tc->t->worker;
    if (tc->impatient && tc->claim)
        tc->claimed = cache_claim_take(w->table, w->slot, tc->hash, ++w->cache_serial, &tc->claim);
    return fetch(tc, h, base);
}

static bool may_be_stale(const struct txn_cache *tc)
{
    return cache_is_stale_within(tc,
                                 cache_about(tc->t->worker->table, &tc->ref)->while_revalidate_s);
}

/* RFC 5861 3: who asks gets the stale one at once; behind that one fetches it anew. False: nobody
 * can. */
static bool is_refreshed(struct txn_cache *tc)
{
    struct worker *w = tc->t->worker;
    if (cache_passes(w->table, tc->hash, w->now_us) || /* it was tried a moment ago */
        w->cache_refreshes >= REFRESHES_MAX)
        return true;
    tc->claim_hash = tc->hash;
    if (cache_claim(w->table, w->slot, tc->hash, ++w->cache_serial, &tc->claim) != CACHE_CLAIMED)
        return true;
    tc->claimed = true;
    bool started = cache_refresh(tc);
    cache_release_claim(tc);
    return started;
}

static bool look(struct txn_cache *tc, const struct http1_head *h, const char *base)
{
    if (tc->asked.no_store || tc->covered || (tc->conditional && is_strict(h, base)))
        return bypass(tc);
    tc->pinned = cache_key_find(tc, h, base);
    if (tc->pinned && is_fresh(tc)) /* or stale, and the client does not mind */
        return serve_now(tc, is_stale(tc) ? CACHE_STALE : CACHE_HIT);
    if (tc->pinned && may_be_stale(tc) && is_refreshed(tc))
        return serve_now(tc, CACHE_STALE);
    if (tc->asked.only_if_cached)
        return refuse(tc);
    if (tc->ranged)
        return bypass(tc);
    return goes_alone(tc, h) ? fetch_alone(tc, h, base) : fetch_for_many(tc, h, base);
}

/* Some pool of this configuration keeps responses: a change through any other counts. */
static const struct conf_cache *rule_for_changes(const struct txn *t, const struct http1_head *h,
                                                 const char *base)
{
    static const struct conf_cache rule = {.header = CONF_CACHE_HEADER_OFF};
    return t->gen->conf->cache.wanted && !is_safe(h, base) ? &rule : NULL;
}

bool step_cache(struct txn *t, const struct http1_head *h, const char *base)
{
    const struct conf_cache *rule = rule_of(t);
    if (LIKELY(!rule) && LIKELY(h->is_get))
        return true;
    if (!rule || rule->off)
        rule = rule_for_changes(t, h, base);
    if (!rule || !cache_is_there(t->worker->table))
        return true;
    struct txn_cache *tc = t->cache ? t->cache : begin(t, rule, h, base);
    return !tc || tc->unsafe || look(tc, h, base);
}

/* ---- what clients are told ---- */

static size_t x_cache(const struct txn_cache *tc, char *out)
{
    static const char *const names[] = {[CACHE_HIT] = "HIT",
                                        [CACHE_MISS] = "MISS",
                                        [CACHE_EXPIRED] = "EXPIRED",
                                        [CACHE_STALE] = "STALE",
                                        [CACHE_REVALIDATED] = "REVALIDATED",
                                        [CACHE_BYPASS] = "BYPASS"};
    return (size_t)(stpcpy(stpcpy(stpcpy(out, "X-Cache: "), names[tc->result]), "\r\n") - out);
}

/* RFC 9211 */
static size_t cache_status(const struct txn_cache *tc, char *out)
{
    static const char *const names[] = {[CACHE_HIT] = "hit",
                                        [CACHE_MISS] = "fwd=miss",
                                        [CACHE_EXPIRED] = "fwd=stale",
                                        [CACHE_STALE] = "hit",
                                        [CACHE_REVALIDATED] = "fwd=stale; fwd-status=304",
                                        [CACHE_BYPASS] = "fwd=bypass"};
    char more[48] = "";
    if (tc->result == CACHE_HIT || tc->result == CACHE_STALE)
        snprintf(more, sizeof more, "; ttl=%lld",
                 (long long)cache_about(tc->t->worker->table, &tc->ref)->fresh_s -
                     (long long)cache_age_s(tc));
    else if (tc->filling)
        snprintf(more, sizeof more, "; stored");
    return (size_t)snprintf(out, CACHE_FIELDS_BYTES - 32, "Cache-Status: ballast; %s%s\r\n",
                            names[tc->result], more);
}

static size_t age(const struct txn_cache *tc, char *out)
{
    return (size_t)(stpcpy(digits_uint(stpcpy(out, "Age: "), cache_age_s(tc)), "\r\n") - out);
}

static bool tells(const struct txn_cache *tc)
{
    return tc->result != CACHE_UNSAID && tc->rule->header != CONF_CACHE_HEADER_OFF;
}

bool cache_drops(const struct txn *t, const struct http1_header *f, const char *base)
{
    const struct txn_cache *tc = t->cache;
    const char *name = base + f->name.off;
    if (!t->res_head_done)
        return tc->whole && ((f->name.len > 3 && strncasecmp(name, "if-", 3) == 0) ||
                             cache_is_named(f, base, "range"));
    if (tc->unmodified && (f->id == HTTP1_H_TRANSFER_ENCODING || f->id == HTTP1_H_TRAILER ||
                           !cache_goes_with_304(f, base)))
        return true;
    return tells(tc) && tc->rule->header == CONF_CACHE_HEADER_X_CACHE && f->name.len == 7 &&
           strncasecmp(name, "x-cache", 7) == 0;
}

size_t cache_fields(const struct txn *t, char out[CACHE_FIELDS_BYTES])
{
    const struct txn_cache *tc = t->cache;
    size_t len = 0;
    if (t->stored)
        len = age(tc, out);
    if (!tells(tc))
        return len;
    return len + (tc->rule->header == CONF_CACHE_HEADER_STATUS ? cache_status(tc, out + len)
                                                               : x_cache(tc, out + len));
}

void cache_init(struct worker *w)
{
    slab_init(&w->cache_slab, sizeof(struct txn_cache));
}
