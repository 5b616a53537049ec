/*
 * master/adopt.h: the rows of the table that a generation uses. Objects are matched by name: a
 * listener, a pool, a backend (pool, name and the same address) keeps its row with everything
 * counted and observed there; a changed address is another backend. New backends are prepared with
 * weight 0, so nobody picks them before the generation serves. Backends added through the API stay.
 */
#ifndef BALLAST_MASTER_ADOPT_H
#define BALLAST_MASTER_ADOPT_H

#include "master/state.h"

/* Finds or makes the rows and writes their indexes into the configuration. -1 with a problem in
 * errors; then adopt_abort. */
int adopt_prepare(struct master *m, struct conf *conf, struct adoption *a,
                  struct conf_errors *errors) MUST_CHECK;
/* The generation serves: configured values, removals. */
void adopt_commit(struct master *m, const struct conf *conf, struct adoption *a);
void adopt_abort(struct master *m, struct adoption *a);
/* Removes rows of listeners and pools that no generation in memory names. */
void adopt_sweep(struct master *m);

#endif
