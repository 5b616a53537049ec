/* worker/cache_int.h: what the files of the cache share. */
#ifndef BALLAST_WORKER_CACHE_INT_H
#define BALLAST_WORKER_CACHE_INT_H

#include <string.h>
#include <strings.h>
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
    bool covered; /* a field says that another method is meant */
    bool cookies;
    bool quiet;      /* a request of our own */
    bool unmodified; /* the answer is what the client has */
    bool kept;       /* the response is in the cache */
    bool whole;      /* the backend is asked without the client's conditions */
    bool claimed, waiting, impatient, waited;
    bool pinned, filling;
    struct http_cache_control asked;
    struct buf *text; /* key, then the client's head while it fetches */
    uint32_t key_len;
    uint64_t base, hash, address; /* of the key; of the variant that it leads to; of the address */
    struct cache_guard guard;
    uint64_t claim, claim_hash;
    uint64_t patience_us, asked_us, grown_us;
    struct cache_ref ref;   /* pinned: what stands in, or is served */
    uint64_t left;          /* of the body being served */
    uint64_t coded_place;   /* filling a coded form: what it is of */
    struct cache_fill fill; /* filling: what is being kept */
    struct cache_about about;
    struct txn_cache *prev, *next; /* of those that wait, or of those that keep something */
};

/* ---- cache_key.c ---- */

/* Writes the key: "pool scheme://host/path?query", and behind blanks what else the backend is told
 * that chooses an answer: "/target" where it is another one, "#..." for fields that the
 * configuration sets, "@host" as a trusted proxy names it. False: no memory, or too long. */
bool cache_key_write(struct txn_cache *tc, const struct http1_head *h, const char *base) MUST_CHECK;
struct cache_key cache_key_of(const struct txn_cache *tc);
/* Pins what this request may be answered with: tc->ref, tc->hash. */
bool cache_key_find(struct txn_cache *tc, const struct http1_head *h, const char *base) MUST_CHECK;
/* Of a response that varies by these names ("accept,origin"): sets tc->hash and k, with what the
 * request says. False: no memory, no room, or the names are of fields that we make ourselves. */
bool cache_key_vary(struct txn_cache *tc, const char *names, uint32_t len,
                    struct cache_key *k) MUST_CHECK;

/* ---- cache_facts.c ---- */

#define CACHE_NAMES_MAX 512u /* bytes of names that a response varies by */
/* Vary as "accept,origin", lower case, without blanks. */
struct cache_names {
    char text[CACHE_NAMES_MAX];
    uint32_t len;
    bool any;       /* "*", or too many */
    bool by_coding; /* Accept-Encoding is among them */
    bool encoded;   /* Content-Encoding */
};

/* What a response says, and our configuration about it. names: what it varies by. */
void cache_facts_gather(const struct txn_cache *tc, const struct http1_head *h, const char *base,
                        struct http_cache_facts *f, struct cache_names *names);

/* ---- cache_store.c ---- */

/* Begins to keep the response whose head this is; false: not to be kept. */
bool cache_store_begin(struct txn_cache *tc, const struct http1_head *h, const char *base);
/* The stored response was confirmed by a 304: it is kept anew with what that says. Pins the new
 * one; or the old stays pinned, and nobody else finds it. */
void cache_store_freshen(struct txn_cache *tc, const struct http1_head *confirmed,
                         const char *base);
void cache_store_end(struct txn_cache *tc); /* what is not complete is dropped */
/* What is written for the cache, whatever it is: opened, more of it, and written to the end (what
 * becomes of it is the caller's). False: no room. */
bool cache_store_open(struct txn_cache *tc) MUST_CHECK;
bool cache_store_append(struct txn_cache *tc, const char *bytes, uint32_t len) MUST_CHECK;
void cache_store_done(struct txn_cache *tc);
/* The text of the pinned response's head, without the empty line. False: it does not fit. */
bool cache_store_head(const struct txn_cache *tc, struct buf *out) MUST_CHECK;

/* ---- cache_serve.c ---- */

/* Answers with the pinned response. Nothing was sent yet. */
void cache_serve(struct txn_cache *tc, enum cache_result how);
/* What a client's conditions say about this response. */
bool cache_is_unmodified(const struct http1_head *asked, const char *asked_base,
                         const struct http1_head *h, const char *base) MUST_CHECK;

bool cache_goes_with_304(const struct http1_header *f, const char *base);

/* ---- cache_refresh.c ---- */

/* Fetches the pinned response anew for nobody, with the claim of tc. False: it cannot. */
bool cache_refresh(struct txn_cache *tc) MUST_CHECK;

/* ---- cache_wait.c ---- */

/* Somebody else fetches it. */
void cache_wait(struct txn_cache *tc);
void cache_wait_end(struct txn_cache *tc);                         /* leaves those that wait */
void cache_list_add(struct cache_list *all, struct txn_cache *tc); /* as the last */
void cache_list_remove(struct cache_list *all, struct txn_cache *tc);

/* ---- cache.c ---- */

/* To the backend; what comes is kept when it may be. */
void cache_fetch(struct txn_cache *tc, const struct http1_head *h, const char *base);
void cache_unpin_ref(struct txn_cache *tc);
void cache_release_claim(struct txn_cache *tc);
/* The client's head: parsed again when it is gone from the connection; base gets its bytes. Valid
 * until the next call. NULL: it was not kept. */
const struct http1_head *cache_client_head(const struct txn_cache *tc, const char **base);

static inline bool cache_is_named(const struct http1_header *f, const char *base, const char *name)
{
    size_t len = strlen(name);
    return f->name.len == len && strncasecmp(base + f->name.off, name, len) == 0;
}

static inline uint64_t cache_age_s(const struct txn_cache *tc)
{
    int64_t born_us = cache_about(tc->t->worker->table, &tc->ref)->born_us;
    int64_t age_us = (int64_t)tc->t->worker->now_us - born_us;
    return age_us > 0 ? (uint64_t)age_us / 1000000 : 0;
}

/* Is it stale for less than this? Not when the client itself wants another. */
static inline bool cache_is_stale_within(const struct txn_cache *tc, uint32_t seconds)
{
    const struct cache_about *a = cache_about(tc->t->worker->table, &tc->ref);
    uint64_t age = cache_age_s(tc);
    return !a->must_revalidate && !tc->asked.no_cache && tc->asked.max_age == HTTP_CACHE_NONE &&
           tc->asked.min_fresh == HTTP_CACHE_NONE && age < (uint64_t)a->fresh_s + seconds;
}

#endif
