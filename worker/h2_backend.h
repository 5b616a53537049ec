/*
 * worker/h2_backend.h: HTTP/2 to backends: few connections per backend and worker, many requests on
 * each. A request's upstream is a stream: it has no descriptor, and its link turns the text of the
 * request into fields and the fields of the answer into text (worker/h2.h).
 */
#ifndef BALLAST_WORKER_H2_BACKEND_H
#define BALLAST_WORKER_H2_BACKEND_H

#include "worker/types.h"

struct h2_backend;

/* A stream to the txn's reserved backend, on a connection that is there or is being made. NULL with
 * errno: it cannot even be started. */
struct upstream *h2_backend_attach(struct txn *t) MUST_CHECK;
/* Events of the connection below. */
void h2_backend_io(struct upstream *carrier, int revents);
/* Its TLS is made, or is not. */
void h2_backend_ready(struct h2_backend *b);
void h2_backend_close(struct h2_backend *b, const char *why);
/* Closes what was idle for as long as its pool lets it or is one too many, does not get ready, or
 * whose backend is gone. */
void h2_backends_sweep(struct worker *w);

#endif
