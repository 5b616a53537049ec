/*
 * worker/pace.h: what a client connection is sent in a second, and what is read of it:
 * limits.bandwidth and limits.upload_bandwidth. A link around the socket or around TLS, so all
 * protocols keep to it, and nothing is spliced. It lets through what the time since the last bytes
 * is worth; who would wait for more than that is not told that the socket takes bytes before some
 * fifty milliseconds' worth have come together (a packet, when that is more). Counts payload: what
 * TLS and HTTP/2 frames of this connection carry.
 */
#ifndef BALLAST_WORKER_PACE_H
#define BALLAST_WORKER_PACE_H

#include "worker/types.h"

static inline bool pace_asked(const struct conf_listener *l)
{
    return (l->limits.bandwidth | l->limits.upload_bandwidth) != 0;
}
/* From now on the connection keeps to its listener's limits, as they are at any time. Once more:
 * nothing. False: no memory. */
bool pace_begin(struct conn *c) MUST_CHECK;

/* What a connection may send by a clock; pure. */
struct pace_clock {
    uint64_t paid_us; /* all time before is used up */
};
/* Bytes that may go now. rate: bytes in a second, not 0. */
uint64_t pace_allowed(struct pace_clock *p, uint64_t rate, uint64_t now_us);
void pace_charge(struct pace_clock *p, uint64_t rate, uint64_t bytes);
/* How long until sending is worth a wake-up; 0: it is. */
uint64_t pace_wait_us(struct pace_clock *p, uint64_t rate, uint64_t now_us);

#endif
