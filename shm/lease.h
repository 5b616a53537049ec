/*
 * shm/lease.h: backends that registered themselves: how long they stay without being heard of
 * again. Admin renews, the health process ends what has run out; the end is one atomic word.
 */
#ifndef BALLAST_SHM_LEASE_H
#define BALLAST_SHM_LEASE_H

#include "shm/entry.h"

/* A live backend that registered itself? */
bool lease_is_registered(const struct entry *e);
/* It was heard of: it stays for ttl_ms more; 0: until it is removed. */
void lease_renew(struct entry *e, uint32_t ttl_ms, uint64_t now_us);
/* Nobody could be heard for this long: it does not count. */
void lease_extend(struct entry *e, uint64_t by_us);
/* Has it run out? False for what has no lease. */
bool lease_is_over(const struct entry *e, uint64_t now_us);
/* What is left of it; UINT64_MAX: it has no end. */
uint64_t lease_left_us(const struct entry *e, uint64_t now_us);

#endif
