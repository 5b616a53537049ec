/* worker/peer.h: addresses of clients as a connection keeps them. */
#ifndef BALLAST_WORKER_PEER_H
#define BALLAST_WORKER_PEER_H

#include "worker/types.h"

/* An IPv4 address that came mapped into IPv6 becomes one; whatever is not IP is AF_UNIX. */
void peer_from_addr(struct peer *p, const struct net_addr *a);
void peer_to_addr(const struct peer *p, struct net_addr *a);
/* Is it in one of the listener's `trusted` networks? */
bool peer_trusted(const struct peer *p, const struct conf_listener *listener);

#endif
