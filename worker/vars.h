/*
 * worker/vars.h: the values of a template's variables for one request. Nothing but visible ASCII
 * comes out of a path, so no request can put a line of its own into a head.
 */
#ifndef BALLAST_WORKER_VARS_H
#define BALLAST_WORKER_VARS_H

#include "conf/route_match.h"
#include "worker/types.h"

struct vars {
    struct txn *t;
    const struct http1_head *head;
    const char *base;
    const struct route_match *match; /* NULL: no captures, no {tail} */
};

/* Appends the template; false when there is no room for it. */
bool vars_append(struct buf *out, const struct conf_template *t, const struct vars *v) MUST_CHECK;

/* Appends a part of a path's literal reading as it stands in a URI; false: no room. */
bool vars_append_path(struct buf *out, const struct uri_path *path, uint32_t from,
                      uint32_t len) MUST_CHECK;

/* Who asks: the peer, or whom a trusted proxy names in X-Forwarded-For (the last that is not
 * trusted itself). */
void vars_client(const struct txn *t, const struct http1_head *head, const char *base,
                 struct net_addr *out);
/* "http" or "https", as a trusted proxy saw it or we do. */
const char *vars_scheme(const struct txn *t, const struct http1_head *head, const char *base);
/* The X-Request-ID of the request, or the one made for it. */
const char *vars_request_id(struct txn *t, const struct http1_head *head, const char *base,
                            uint32_t *len);

#endif
