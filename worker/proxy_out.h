/*
 * worker/proxy_out.h: the PROXY header towards backends, the first bytes of every connection to a
 * pool with proxy_protocol. Such a connection is one client's for ever: after an exchange it idles
 * with its client connection (conn->kept, at most one) instead of in the pool, and closes with it.
 */
#ifndef BALLAST_WORKER_PROXY_OUT_H
#define BALLAST_WORKER_PROXY_OUT_H

#include "worker/types.h"

/* Where the client connected to, into c->dest: as it was announced to us, or our own end of its
 * connection. Streams take it from the connection that they came on, so it must know before. */
void proxy_out_know_destination(struct conn *c);
/* Sends the header on t->up, just connected. 0, or an errno value. */
int proxy_out_announce(struct txn *t) MUST_CHECK;
/* The idle connection of this client to t->entry, or NULL. verify: look first whether it lives. */
struct upstream *proxy_out_take(struct txn *t, uint32_t incarnation, bool verify);
/* Keeps u, whose exchange is over, for the next request of this client, or closes it. */
void proxy_out_keep(struct txn *t, struct upstream *u);
/* Closes an idle one. */
void proxy_out_drop(struct upstream *u);

#endif
