/*
 * client/lease.h: how a client takes part in the exact counts: it borrows places in flight from the
 * broker, one question and answer over a socket each, uses and reuses those it has without asking
 * (shm/purse.h), and the broker takes back what is idle. Guarded by the client's lock.
 */
#ifndef BALLAST_CLIENT_LEASE_H
#define BALLAST_CLIENT_LEASE_H

#include "client/client_int.h"

enum lease_taken {
    LEASE_TAKEN,
    LEASE_FULL,
    LEASE_POOL_FULL,
    LEASE_REFUSED, /* half-open or gone: another backend */
    LEASE_LOST     /* the broker cannot be asked: the listener can */
};

/* Does the instance lend places, and do we take part? Then nothing is sent without one. */
static inline bool lease_wanted(const struct ballast_client *c)
{
    return UNLIKELY(c->fresh && !c->uncounted && word_get(&c->table.header->grant_max) != 0);
}
/* A place of this backend. probe: its breaker is not closed, *ticket goes with the report. */
enum lease_taken lease_take(struct ballast_client *c, uint32_t entry, uint32_t incarnation,
                            bool probe, uint32_t *ticket);
/* The request is over; the place is idle. */
void lease_done(struct ballast_client *c, const struct purse_record *record);
/* Gives all up: another table, another process, the end. */
void lease_leave(struct ballast_client *c);
/* As lease_leave, in a child whose parent was at it. */
void lease_forget(struct ballast_client *c);

#endif
