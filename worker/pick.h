/* worker/pick.h: PICK: asks the pool's algorithm for a usable backend not tried yet and reserves a
 * place on it. */
#ifndef BALLAST_WORKER_PICK_H
#define BALLAST_WORKER_PICK_H

#include "worker/types.h"

enum pick_result {
    PICK_OK,
    PICK_NONE /* nobody usable */,
    PICK_FULL /* usable ones, but all at max_connections */
};

/* On PICK_OK t->entry is reserved: pick_release gives it back. Backends that were full are in
 * t->lb.tried only for this call. */
enum pick_result pick_backend(struct txn *t) MUST_CHECK;
void pick_release(struct txn *t);
/* Is there a usable backend that has not been asked, besides the one that is being asked? */
bool pick_has_other(const struct txn *t);
/* The current attempt's backend is not asked again for this txn. */
void pick_mark_tried(struct txn *t);

#endif
