/*
 * worker/sticky.h: sessions: the same client goes to the same backend. The backend is known by a
 * cookie of ours (inserted, and never seen by the backend), by a cookie of the application that
 * names the backend, or by a header field or the client's address, remembered in the table
 * (shm/stick.h). A client that is new, or whose backend takes no more requests, gets one by the
 * pool's algorithm; by header and address: one that its key names, so that a restart moves nobody.
 */
#ifndef BALLAST_WORKER_STICKY_H
#define BALLAST_WORKER_STICKY_H

#include "worker/types.h"

/* Finds the backend that this client belongs to; t->pool->conf->sticky is set. head NULL: tcp. */
void sticky_find(struct txn *t, const struct http1_head *head, const char *base);
/* A session that another worker may know by this key: nothing, or t->stick. */
void sticky_find_session(struct txn *t, uint64_t key, uint32_t ttl_ms);
/* The backend to ask first (an entry, not reserved), or INDEX_NONE. */
uint32_t sticky_first(const struct txn *t);
/* t->entry was chosen and reserved: remembers it. */
void sticky_chosen(struct txn *t);

void sticky_index_free(struct sticky_index *x);

/* Must this field of a request be written anew without our cookie? */
static inline bool sticky_hides(const struct txn *t, const struct http1_header *f)
{
    return t->stick_hide && f->id == HTTP1_H_COOKIE;
}
/* The Cookie fields without ours. */
void sticky_add_cookies(const struct txn *t, struct buf *out, const struct http1_head *head,
                        const char *base);
/* Does the answer set the cookie? */
static inline bool sticky_tells(const struct txn *t)
{
    return t->stick_tell;
}
#define STICKY_FIELDS_BYTES 512u
/* The fields that do, lines ended; returns their length. */
size_t sticky_fields(const struct txn *t, char out[STICKY_FIELDS_BYTES]);

#endif
