/* worker/proto_http1.h: PARSE: HTTP/1.x from clients: reads heads, hands requests to txn. */
#ifndef BALLAST_WORKER_PROTO_HTTP1_H
#define BALLAST_WORKER_PROTO_HTTP1_H

#include "worker/types.h"

void http1_readable(struct conn *c);     /* idle or in a head: bytes came */
void http1_process(struct conn *c);      /* one step over bytes already in conn->in */
void http1_head_timeout(struct conn *c); /* the head took too long */
void http1_release_head(struct conn *c);

#endif
