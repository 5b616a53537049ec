/*
 * health/record.h: what a check leaves behind: the words of the entry that only the health process
 * writes, and one event for each change of a verdict. Never touches entry.mode: whoever put a
 * backend into maintenance is not overruled.
 */
#ifndef BALLAST_HEALTH_RECORD_H
#define BALLAST_HEALTH_RECORD_H

#include "health/check.h"
#include "health/verdict.h"
#include "shm/entry.h"

/* The verdict that stands in the table: a new entry's is unknown, a health process that replaces a
 * dead one goes on here. */
struct verdict record_read(const struct table *t, uint32_t index);
/* Writes an outcome (not CHECK_IMPOSSIBLE) and the verdict that follows from it. slot: of this
 * process. */
void record_write(struct table *t, uint32_t slot, uint32_t index, const struct check_result *r,
                  struct verdict v);
/* A pool without health checks trusts its backends: healthy, from now on. Only one that was
 * unhealthy makes an event. */
void record_trust(struct table *t, uint32_t slot, uint32_t index);

#endif
