/*
 * master/stop.h: leaving. Workers finish first, while health, admin and samples still work for
 * them; then the others; then the master.
 */
#ifndef BALLAST_MASTER_STOP_H
#define BALLAST_MASTER_STOP_H

#include "master/state.h"

/* UNLIMITED: what is in flight is finished, however long. LIMITED: within drain_timeout. NOW: cut.
 * A level never goes down; LIMITED again means NOW. */
void stop_request(struct master *m, enum stop_level level);
/* A process is gone: what comes next? */
void stop_progress(struct master *m);

#endif
