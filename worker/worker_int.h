/* worker/worker_int.h: what the files of this folder share about the worker itself. */
#ifndef BALLAST_WORKER_WORKER_INT_H
#define BALLAST_WORKER_WORKER_INT_H

#include "worker/types.h"

/* Objects closed in this iteration are freed at its end. A draining worker without connections
 * leaves. */
void worker_retire_conn(struct worker *w, struct conn *c);
void worker_retire_txn(struct worker *w, struct txn *t);
void worker_retire_upstream(struct worker *w, struct upstream *u);

/* accept.c */
int accept_sync(struct worker *w)
    MUST_CHECK; /* one acceptor per socket of the current generation; 0 or -1 */
void accept_start(struct worker *w);
void accept_stop(struct worker *w);
void accept_drain(struct worker *w); /* takes what is queued, then stops for good */
void accept_pause(struct worker *w); /* for PAUSE seconds */
/* Takes what is queued on the socket of a sibling that died. */
void accept_queue(struct worker *w, uint32_t bind_id, int fd);
/* Takes what is queued on sockets that the next configuration does not name. */
void accept_drain_removed(struct worker *w, const struct conf *next);

/* moved.c: after a new generation took over from `before` */
void moved_follow(struct worker *w, struct gen *before);
void moved_sweep(struct worker *w); /* every second */

/* gen.c */
struct gen *gen_new(struct worker *w, const struct conf *conf, char *why,
                    size_t why_cap) MUST_CHECK;
void gen_ref(struct gen *g);
void gen_unref(struct worker *w,
               struct gen *g);   /* the last one frees it and releases the configuration */
void gen_discard(struct gen *g); /* an offer that was withdrawn */

#endif
