/*
 * worker/handover.h: a worker that leaves passes connections to one that stays: plain HTTP/1
 * between requests, and tunnels between plain sockets, with their descriptors, pending bytes and
 * books. The master connects the two (CTL_HANDOVER, CTL_HEIR) when another program takes over, and
 * when there are to be fewer workers.
 *
 * One record per connection; the heir takes the places in the table first, then says that it did,
 * then begins to serve; only when the one who leaves has heard that does it give up its own. So a
 * limit is never exceeded, and until then the connection can be taken back: when the heir refuses
 * (another configuration, no memory), dies, or is of a version that writes other records. What is
 * taken back is told to go as ever.
 */
#ifndef BALLAST_WORKER_HANDOVER_H
#define BALLAST_WORKER_HANDOVER_H

#include "worker/types.h"

/* This worker will leave; fd, taken, is the channel to who stays. What is to be passed is, from the
 * moment the worker drains. */
void handover_begin(struct worker *w, int fd);
/* Passes all that can be passed now. */
void handover_all(struct worker *w);
/* This one, if its state allows it. */
void handover_offer(struct conn *c);
/* This worker stays; fd, taken, is the channel from one that leaves. */
void handover_receive(struct worker *w, int fd);

/* Will it be passed on when its request is over? Then it is not told to go. */
static inline bool handover_keeps(const struct conn *c)
{
    return c->worker->handover && c->protocol == CONF_HTTP && !c->link && !c->gen && !c->staying;
}
/* Is it to be told to go with its next answer? */
static inline bool conn_must_go(const struct conn *c)
{
    return c->draining || (UNLIKELY(c->worker->draining) && !handover_keeps(c));
}

#endif
