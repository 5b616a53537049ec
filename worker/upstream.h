/*
 * worker/upstream.h: CONNECT: connections to backends. The only place that opens and closes them.
 */
#ifndef BALLAST_WORKER_UPSTREAM_H
#define BALLAST_WORKER_UPSTREAM_H

#include "worker/types.h"

/* Gives the txn a connection to its reserved backend (t->entry): a pooled one (then the txn may
 * send at once) or a new one in progress. Returns 0, or -1 with errno when it cannot even be
 * started. */
int upstream_attach(struct txn *t) MUST_CHECK;
/* Ends the txn's use: keep = the exchange is complete and the connection may be used again. t->up
 * becomes NULL. */
void upstream_detach(struct txn *t, bool keep);
/* The connection is ready for requests: its txn goes on. */
void upstream_ready(struct upstream *u);
/* One of the txn's backend on this descriptor (-1: a stream), not yet watched. NULL: no memory. */
struct upstream *upstream_new(struct txn *t, int fd) MUST_CHECK;
/* The same, being connected. NULL with errno. */
struct upstream *upstream_open(struct txn *t) MUST_CHECK;
/* Closes; it belongs to no txn and to no pool any more. */
void upstream_close(struct upstream *u);
/* Closes so that the backend sees a cut, not an end. t->up becomes NULL. */
void upstream_reset(struct txn *t);
/* The watcher's event, at once or later in its turn (worker/ahead.h). */
void upstream_event(struct upstream *u, int revents);
void upstream_want(struct upstream *u, int events);

static inline int upstream_fd(const struct upstream *u)
{
    return u->io.fd;
}

#endif
