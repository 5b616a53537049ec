/*
 * worker/cache.h: CACHE: responses kept for all workers (shm/cache.h), by the rules of RFC 9111
 * (base/http_cache.h). A step of every request, one branch where no cache is asked for. A request
 * that finds a fresh response is answered from it; else one of those for the same fetches it, the
 * others wait for a while (cache_wait.c), and what comes is kept on its way through. The response
 * that a stale one stands in for, and the one being written, belong to the txn (t->cache) and end
 * with it.
 *
 * A stored response takes the same way out as one that comes from a backend (relay_response.h):
 * its head and as much of its body as fits are copied into t->rbuf; a client that is slow keeps the
 * object pinned, not copied.
 */
#ifndef BALLAST_WORKER_CACHE_H
#define BALLAST_WORKER_CACHE_H

#include "worker/types.h"

enum cache_result {
    CACHE_UNSAID, /* no header */
    CACHE_HIT,
    CACHE_MISS,
    CACHE_EXPIRED, /* there was one, and another came */
    CACHE_STALE,
    CACHE_REVALIDATED,
    CACHE_BYPASS
};

void cache_init(struct worker *w);
/* The step: true: to the backend with it. */
bool step_cache(struct txn *t, const struct http1_head *h, const char *base);

/* The rest is called with t->cache set. */

/* A final head came (t->res, at the start of t->rbuf). True: it is not passed on, the answer comes
 * from the cache. whole: nothing more comes on that connection. */
bool cache_takes_answer(struct txn *t, bool whole);
/* Bytes of its body, without framing. */
void cache_keep(struct txn *t, const char *bytes, uint32_t len);
/* Is the head all that is passed on, if that? */
bool cache_discards(const struct txn *t);
/* t->res is about to be passed on, and may become a 304. */
void cache_shape(struct txn *t);
/* The body is complete. */
void cache_complete(struct txn *t);
/* Answers instead of an error of our own with this status; false: it cannot. */
bool cache_stands_in(struct txn *t, unsigned status);
/* Copies more of a stored body to b; 0: there is no more. */
uint32_t cache_more(struct txn *t, struct buf *b);
/* Sends more of a stored body from where it lies, to a client's plain socket. Bytes, or -1 with
 * errno. */
ssize_t cache_send(struct txn *t) MUST_CHECK;
/* Of a stored body that is to be sent: worker/cache_coded.c. True: it is sent as it was compressed
 * before; t->res_left is its length. */
bool cache_coded_take(struct txn *t, uint8_t coding, uint32_t level) MUST_CHECK;
/* What is made of it now is kept. False: it is not. */
bool cache_coded_begin(struct txn *t, uint8_t coding, uint32_t level) MUST_CHECK;
void cache_coded_keep(struct txn *t, const char *bytes, uint32_t len);
void cache_coded_complete(struct txn *t);
/* The txn ends. */
void cache_end(struct txn *t);

/* Is the field of the request, or of the answer, not passed on? */
bool cache_drops(const struct txn *t, const struct http1_header *f, const char *base);
/* Field lines that the answer gets; returns their length. */
#define CACHE_FIELDS_BYTES 128u
size_t cache_fields(const struct txn *t, char out[CACHE_FIELDS_BYTES]);
/* The conditions under which a stored response is asked for again (t->revalidates). */
#define CACHE_CONDITIONS_BYTES 1024u
size_t cache_conditions(const struct txn *t, char out[CACHE_CONDITIONS_BYTES]);

#endif
