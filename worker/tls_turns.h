/*
 * worker/tls_turns.h: whose handshake goes on. A step of one is up to a millisecond of arithmetic:
 * a worker does only so many between two looks at its other connections, and who waited longest
 * comes first (the loop itself hands out the newest event first, which would starve the oldest
 * client of a crowd).
 */
#ifndef BALLAST_WORKER_TLS_TURNS_H
#define BALLAST_WORKER_TLS_TURNS_H

#include "worker/tls.h"

/* An iteration of the loop begins. */
void tls_turns_begin(struct worker *w);
/* May it do a step now? If not it waits; its descriptor is still ready the next time around. */
bool tls_turns_take(struct tls *t) MUST_CHECK;
/* It goes. */
void tls_turns_leave(struct tls *t);

#endif
