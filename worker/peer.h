/* worker/peer.h: addresses of clients as a connection keeps them. */
#ifndef BALLAST_WORKER_PEER_H
#define BALLAST_WORKER_PEER_H

#include "worker/types.h"

/* An IPv4 address that came mapped into IPv6 becomes one; whatever is not IP is AF_UNIX. */
void peer_from_addr(struct peer *p, const struct net_addr *a);
void peer_to_addr(const struct peer *p, struct net_addr *a);
/* Its address as text, "unix" where it has none; until the next call. It is wanted more than once
 * per request, so the last one is remembered. */
const char *peer_text(struct worker *w, const struct peer *p, uint32_t *len);
/* Is it in one of the listener's `trusted` networks? */
bool peer_trusted(const struct peer *p, const struct conf_listener *listener);

#endif
