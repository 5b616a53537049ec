/* worker/cache_int.h: what the files of the cache share. */
#ifndef BALLAST_WORKER_CACHE_INT_H
#define BALLAST_WORKER_CACHE_INT_H

#include "base/http_cache.h"
#include "shm/cache.h"
#include "worker/cache.h"

struct txn_cache {
    struct txn *t;
    const struct conf_cache *rule;
    uint8_t result; /* enum cache_result */
    bool fetches;   /* the response may be kept */
    bool unsafe;    /* a success invalidates what is kept */
    bool authorized, conditional, ranged;
    bool claimed, waiting, impatient, waited;
    bool pinned, filling;
    struct http_cache_control asked;
    struct buf *text; /* key, then the client's head while it fetches */
    uint32_t key_len;
    uint64_t base, hash; /* of the key; of the variant that it leads to */
    struct cache_guard guard;
    uint64_t claim, claim_hash;
    uint64_t patience_us, asked_us;
    struct cache_ref ref;   /* pinned: what stands in, or is served */
    uint64_t left;          /* of the body being served */
    struct cache_fill fill; /* filling: what is being kept */
    struct cache_about about;
    struct txn_cache *prev, *next; /* of those that wait */
};

/* ---- cache_key.c ---- */

/* Writes the key: "pool scheme://host/path?query", and what the backend is asked for where that is
 * another target. False: no memory, or too long. */
bool cache_key_write(struct txn_cache *tc, const struct http1_head *h, const char *base) MUST_CHECK;
struct cache_key cache_key_of(const struct txn_cache *tc);
/* Pins what this request may be answered with: tc->ref, tc->hash. */
bool cache_key_find(struct txn_cache *tc, const struct http1_head *h, const char *base) MUST_CHECK;
/* Of a response that varies by these names ("accept,origin"): sets tc->hash and k, with what the
 * request says. False: no memory, no room, or the names are of fields that we make ourselves. */
bool cache_key_vary(struct txn_cache *tc, const char *names, uint32_t len,
                    struct cache_key *k) MUST_CHECK;

/* ---- cache_store.c ---- */

/* Begins to keep the response whose head this is; false: not to be kept. */
bool cache_store_begin(struct txn_cache *tc, const struct http1_head *h, const char *base);
/* The stored response was confirmed by a 304: it is kept anew with what that says. Pins the new
 * one, or leaves the old. */
void cache_store_freshen(struct txn_cache *tc, const struct http1_head *confirmed,
                         const char *base);
void cache_store_end(struct txn_cache *tc); /* what is not complete is dropped */
/* The text of the pinned response's head, without the empty line. False: it does not fit. */
bool cache_store_head(const struct txn_cache *tc, struct buf *out) MUST_CHECK;

/* ---- cache_serve.c ---- */

/* Answers with the pinned response. Nothing was sent yet. */
void cache_serve(struct txn_cache *tc, enum cache_result how);

/* ---- cache_wait.c ---- */

/* Somebody else fetches it. */
void cache_wait(struct txn_cache *tc);
void cache_wait_end(struct txn_cache *tc); /* leaves those that wait */

/* ---- cache.c ---- */

void cache_unpin_ref(struct txn_cache *tc);
void cache_release_claim(struct txn_cache *tc);
/* The client's head: parsed again when it is gone from the connection; base gets its bytes. Valid
 * until the next call. NULL: it was not kept. */
const struct http1_head *cache_client_head(const struct txn_cache *tc, const char **base);

static inline uint64_t cache_age_s(const struct txn_cache *tc)
{
    int64_t born_us = cache_about(tc->t->worker->table, &tc->ref)->born_us;
    int64_t age_us = (int64_t)tc->t->worker->now_us - born_us;
    return age_us > 0 ? (uint64_t)age_us / 1000000 : 0;
}

#endif
