/*
 * worker/tunnel.h: bytes both ways: TCP listeners, and HTTP after 101. Each direction has one
 * buffer, held only while bytes wait; the end of one direction (FIN) is passed on when its bytes
 * are through, and the other direction goes on (half-close).
 */
#ifndef BALLAST_WORKER_TUNNEL_H
#define BALLAST_WORKER_TUNNEL_H

#include "worker/types.h"

void tunnel_start(struct txn *t); /* connected; bytes already read wait in conn->in and t->rbuf */
void tunnel_client_readable(struct txn *t);
void tunnel_upstream_readable(struct txn *t);
void tunnel_pump(struct txn *t); /* one side became writable */

#endif
