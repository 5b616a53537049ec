/*
 * worker/upool.h: idle connections to backends, kept for reuse: newest first per backend (the
 * warmest is the least likely to be stale). Those beyond conf_pool.keepalive per pool in this
 * worker go, oldest first, once they were idle for a second: a busy moment does not close what the
 * next one has to open again. An idle connection is watched: whatever it says, it is closed.
 */
#ifndef BALLAST_WORKER_UPOOL_H
#define BALLAST_WORKER_UPOOL_H

#include "worker/types.h"

/* An idle connection to this backend, or NULL. verify: look first whether the peer closed it (one
 * system call), for requests that may not be sent twice. */
struct upstream *upool_take(struct worker *w, uint32_t entry, uint32_t incarnation, bool verify);
/* Keeps a connection whose exchange is over, unless its pool keeps none. */
void upool_put(struct upstream *u, const struct conf_pool *p);
/* What the pool says about idle connections is what holds from now on. */
void upool_note(struct worker *w, const struct conf_pool *p);
/* Takes an idle connection out and closes it. */
void upool_drop(struct upstream *u);
/* Makes room for a descriptor: closes one that idles. False: there is none. */
bool upool_drop_oldest(struct worker *w);
void upool_sweep(
    struct worker *w); /* closes what was idle too long, is too many, or whose backend is gone */
void upool_forget_removed(struct worker *w); /* now: those of backends no longer in the table */
void upool_close_all(struct worker *w);

#endif
