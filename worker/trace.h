/*
 * worker/trace.h: W3C Trace Context, for listeners with `traceparent`: a valid field of the client
 * passes as it is, with its tracestate; else both are dropped and a trace begins here.
 */
#ifndef BALLAST_WORKER_TRACE_H
#define BALLAST_WORKER_TRACE_H

#include "worker/types.h"

/* Finds or begins the trace of a request: t->trace, t->trace_due. */
void trace_begin(struct txn *t, const struct http1_head *h, const char *base);
/* Is the field of the request dropped, as a trace begins here? */
bool trace_drops(const struct http1_header *f, const char *base);
/* Appends the field of a trace that begins here, once. */
void trace_append(struct txn *t, struct buf *out);

#endif
