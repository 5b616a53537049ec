/*
 * shm/breaker.h: the circuit breaker of a backend, one atomic word that all workers change by
 * compare-and-swap. Closed counts failures in a row; open lets nothing through until its time is
 * over (breaker_tick, called by pool_recheck); half-open gives out exactly success_threshold
 * tickets, over all workers: one failure opens it again, that many successes close it. A ticket
 * lost with a killed worker is given out anew when the same time has passed once more; results of
 * tickets given out before count for nothing then.
 */
#ifndef BALLAST_SHM_BREAKER_H
#define BALLAST_SHM_BREAKER_H

#include "shm/entry.h"

struct breaker_rule {
    uint32_t failure_threshold, success_threshold; /* 1 to 250 */
    uint32_t timeout_ms;
};

#define BREAKER_NO_TICKET 0u /* it was closed */

/* May one request go there? Half-open: takes a ticket; *ticket goes with the result. */
bool breaker_admit(struct table *t, uint32_t entry, const struct breaker_rule *rule,
                   uint32_t *ticket) MUST_CHECK;
/* What became of the request. Returns true when the state changed (the event is written). */
bool breaker_success(struct table *t, uint32_t entry, uint32_t slot,
                     const struct breaker_rule *rule, uint32_t ticket);
bool breaker_failure(struct table *t, uint32_t entry, uint32_t slot,
                     const struct breaker_rule *rule, uint32_t ticket, uint64_t now_us,
                     const char *reason);
/* Nobody knows (the client left): the ticket goes back. */
void breaker_return(struct table *t, uint32_t entry, uint32_t ticket);
/* The passage of time. Returns when to look again, in us; 0: no need. *changed is set when the
 * state changed. timeout_ms: for how long the tickets of a half-open breaker stand. */
uint64_t breaker_tick(struct table *t, uint32_t entry, uint32_t slot, uint32_t timeout_ms,
                      uint64_t now_us, bool *changed);
/* The pool has no breaker any more. */
void breaker_clear(struct table *t, uint32_t entry);

enum entry_breaker breaker_state(const struct entry *e);
/* Until when it is open, in us of clock_mono_us; 0: it is not, or its time is over, whether or not
 * a worker has looked since. */
uint64_t breaker_open_until_us(const struct entry *e, uint64_t now_us);
const char *breaker_state_name(enum entry_breaker state); /* "closed", "half_open", "open" */

#endif
