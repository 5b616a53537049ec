/*
 * shm/events.h: the flight recorder: a ring of transitions, admin actions, reloads, respawns. Any
 * process writes; readers get what is still there, in order. A writer killed half-way leaves a hole
 * that readers skip.
 */
#ifndef BALLAST_SHM_EVENTS_H
#define BALLAST_SHM_EVENTS_H

#include "shm/table.h"

/* kind: one word; object: what it is about; from/to/reason may be NULL. Long texts are cut. Also
 * written to the log at info level as one line: event=KIND object=... from=... to=... reason="...".
 */
void event_write(struct table *t, uint32_t slot, const char *kind, const char *object,
                 const char *from, const char *to, const char *reason);

struct event_copy {
    uint64_t seq; /* from 1 */
    uint64_t wall_ms;
    char kind[24], object[80], from[24], to[24], reason[144];
    uint32_t slot;
};
/* Copies events with seq > since, oldest first, at most cap. Returns the count. */
uint32_t event_read(const struct table *t, uint64_t since, struct event_copy *out, uint32_t cap);
uint64_t event_last(const struct table *t); /* newest sequence number, 0: none */

#endif
