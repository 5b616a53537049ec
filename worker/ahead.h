/*
 * worker/ahead.h: what one turn of the event loop has to read is received together. A connection
 * that became readable, and whose next step is to receive into an empty buffer, waits until all
 * others of the turn have told; then one system call (io_uring, the ring of worker/batch.h)
 * receives for all of them, and each goes on as if it had just become readable: its receive finds
 * the bytes, the end or the error in its buffer (buf_recv). Elsewhere, where io_uring is missing,
 * and for a single one, each receives for itself.
 *
 * Eligible are sockets, plain or under TLS, that wait for a request, for the head of an answer, or
 * for the next small chunk of a tunnel. Between the receiving and the last of them nothing else of
 * the loop runs.
 */
#ifndef BALLAST_WORKER_AHEAD_H
#define BALLAST_WORKER_AHEAD_H

#include "worker/types.h"

/* Begins, or ends, to make them wait. */
void ahead_use(struct worker *w, bool wanted);
/* It is readable. True: it waits, and is told again (conn_event, upstream_event) in this turn. */
bool ahead_conn(struct conn *c);
bool ahead_upstream(struct upstream *u);

#endif
