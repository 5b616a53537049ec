/*
 * master/steer.h: which workers get new connections. A group of SO_REUSEPORT sockets spreads
 * connections over all of them, also over those whose worker is in backoff or about to leave; a
 * classic BPF program on the group (allowed without privileges) leaves these out.
 */
#ifndef BALLAST_MASTER_STEER_H
#define BALLAST_MASTER_STEER_H

#include "master/state.h"

/* Looks at the processes' states and sets or removes the programs. */
void steer_update(struct master *m);

/* Datagrams go to the sockets of so many workers: the kernel passes over connected sockets of a
 * group, so that those of the others are connected to themselves. What lies in them already is
 * their workers'. */
void steer_datagrams(const struct master *m, uint32_t workers);

#endif
