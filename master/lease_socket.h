/*
 * master/lease_socket.h: where clients ask for leases: a SEQPACKET socket beside the table, for the
 * same group as the table. The master makes it, with its privileges, and keeps it, so that nobody
 * is refused while the broker is replaced. master/lease_socket.c
 */
#ifndef BALLAST_MASTER_LEASE_SOCKET_H
#define BALLAST_MASTER_LEASE_SOCKET_H

#include "master/state.h"

/* Nothing is done without client_leases. 0, or -1 said. */
int lease_socket_open(struct master *m) MUST_CHECK;
void lease_socket_close(struct master *m);
/* For the broker, as listen_of. */
uint32_t lease_socket_of(const struct master *m, bool fresh, struct child_listen *out);

#endif
