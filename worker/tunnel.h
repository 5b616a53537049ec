/*
 * worker/tunnel.h: bytes both ways: TCP listeners, and HTTP after 101. Each direction has one
 * buffer, held only while bytes wait; the end of one direction (FIN) is passed on when its bytes
 * are through, and the other direction goes on (half-close).
 */
#ifndef BALLAST_WORKER_TUNNEL_H
#define BALLAST_WORKER_TUNNEL_H

#include "worker/batch.h"
#include "worker/types.h"

void tunnel_start(struct txn *t); /* connected; bytes already read wait in conn->in and t->rbuf */
void tunnel_client_readable(struct txn *t);
void tunnel_upstream_readable(struct txn *t);
void tunnel_pump(struct txn *t); /* one side became writable */

/* ---- small chunks leave at the end of the turn (worker/batch.h): tunnel_batch.c ----
 * A direction holds only what was all there is of it: then it has no buffer and no pipe, and who
 * reads on (the end, maybe) settles first. What the kernel did not take is its buffer again, as if
 * it had just been tried. */

/* The chunk that was just read, where nothing waited before. False: it is to be sent now. */
bool tunnel_held(struct txn *t, bool to_client);
/* So many of the bytes that were held were sent; of the others nobody else knows. */
void tunnel_released(struct txn *t, bool to_client, uint32_t sent, const char *rest,
                     uint32_t rest_len);
void tunnel_watch(struct txn *t); /* sets what both sides wait for, by what waits for them */

/* Before it ends, is given away, or reads on: nothing is held any more. */
static inline void tunnel_settle(const struct txn *t)
{
    if (UNLIKELY(t->held_in || t->held_out))
        batch_flush();
}

#endif
