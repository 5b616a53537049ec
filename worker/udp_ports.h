/*
 * worker/udp_ports.h: local ports of sessions. The kernel gives every datagram socket a port of its
 * own, some 28,000 on a host; but a socket is told apart by its backend too, so that a port can
 * serve one session with each backend. A worker with few sessions leaves ports to the kernel. One
 * with many keeps the ports that it got (nobody else can have them meanwhile) and binds further
 * sockets to them, each time to one that its backend does not know yet.
 */
#ifndef BALLAST_WORKER_UDP_PORTS_H
#define BALLAST_WORKER_UDP_PORTS_H

#include "base/hash.h"
#include "base/net.h"

struct udp_ports {
    uint16_t *refs;  /* by port: sockets on it; NULL: no port was kept yet */
    uint16_t *where; /* by port: its place in kept */
    uint16_t *kept;
    uint32_t count;
    uint64_t *pairs; /* a set of port and backend; 0: free */
    uint32_t pair_mask, pair_count;
    uint64_t random;
};

/* A socket connected to a backend; -1 with errno. many: there are many sessions. *pair is what
 * udp_ports_close() wants back; 0: nothing to remember. */
int udp_ports_open(struct udp_ports *p, const struct net_addr *to, bool many,
                   uint64_t *pair) MUST_CHECK;
/* The socket was closed. */
void udp_ports_close(struct udp_ports *p, uint64_t pair);

#endif
