/*
 * master/listen_open.h: one socket at a time: bind, and the probe that tells whether somebody else
 * listens there.
 */
#ifndef BALLAST_MASTER_LISTEN_OPEN_H
#define BALLAST_MASTER_LISTEN_OPEN_H

#include "base/net.h"

/* A bound socket that does not listen yet (TCP, in a SO_REUSEPORT group) or listens already (unix).
 * datagram: UDP, also in a group, which gets datagrams from now on and says where each was sent to.
 * -1 with errno. */
int listen_open(const struct net_addr *a, bool v6only, bool datagram) MUST_CHECK;
/* SO_REUSEPORT would let a second instance join the group and take half of the connections without
 * a word. So first: can the address be bound by one that does not share? 0, or -1 with errno
 * (EADDRINUSE). Unix addresses: always 0. */
int listen_probe(const struct net_addr *a, bool v6only, bool datagram) MUST_CHECK;

#endif
