/*
 * worker/access_sink.h: where lines of access logs wait, one buffer per target, and how they are
 * written: when there are many, once a second, and when the process leaves. Whole lines only; never
 * waits. What finds no room is dropped and counted.
 */
#ifndef BALLAST_WORKER_ACCESS_SINK_H
#define BALLAST_WORKER_ACCESS_SINK_H

#include "worker/types.h"

/* Room for a line of ACCESS_LINE_BYTES, or NULL: dropped. Then access_sink_added. */
char *access_sink_room(struct worker *w, uint32_t sink);
void access_sink_added(struct worker *w, uint32_t sink, size_t len);
void access_sink_flush_all(struct worker *w);

#endif
