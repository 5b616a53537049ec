/*
 * worker/edits.h: header edits (conf/route.h struct conf_edits) on heads as they leave. A route
 * without any costs one branch. What depends on the request is written down when the request is
 * routed (edits_prepare), as its head is gone when the answer comes.
 */
#ifndef BALLAST_WORKER_EDITS_H
#define BALLAST_WORKER_EDITS_H

#include <strings.h>
#include "conf/route.h"
#include "worker/types.h"

/* Is a field of this name left out? In any spelling that is read as the same, base/cgi_name.h. */
bool edits_drop_name(const struct conf_edits *e, const char *name, size_t len);

static inline bool edits_drop_id(const struct conf_edits *e, enum http1_header_id id)
{
    return __builtin_expect(e != NULL, 0) && e->drop_ids & 1ull << id;
}

static inline bool edits_drop(const struct conf_edits *e, const struct http1_header *f,
                              const char *base)
{
    if (f->id != HTTP1_H_OTHER)
        return e->drop_ids & 1ull << f->id;
    return e->drop_lens & 1ull << (f->name.len & 63) &&
           edits_drop_name(e, base + f->name.off, f->name.len);
}

/* Keeps the values that response edits need. False: no memory, or no room. */
bool edits_prepare(struct txn *t, const struct http1_head *h, const char *base) MUST_CHECK;
/* Of a response's added fields: how many bytes at most, and appends them. fields: block or always
 * of t->route's response_edits. */
uint32_t edits_bytes(const struct txn *t, const struct conf_template *fields);
void edits_append(struct txn *t, struct buf *out, const struct conf_template *fields);
/* Appends a request's added fields; false: no room. */
bool edits_append_request(struct txn *t, struct buf *out, const struct http1_head *h,
                          const char *base) MUST_CHECK;

#endif
