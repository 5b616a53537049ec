/*
 * worker/udp_quic.h: QUIC passed on by connection id (RFC 8999, what all versions have in common).
 * Servers say in the long headers of a handshake by which id they want to be called; it is noted in
 * the table (shm/stick.h). A client that comes from another address, because its network changed
 * the one that it had, still calls by that id: it keeps its backend, whichever worker it meets.
 * Ids of fewer than 4 bytes are not noted, and of longer ones only the first 8 bytes count. Ids
 * that a server gives out later are encrypted and stay unknown.
 */
#ifndef BALLAST_WORKER_UDP_QUIC_H
#define BALLAST_WORKER_UDP_QUIC_H

#include "worker/udp_int.h"

/* A client without a session: finds the backend that it calls, into t->stick, or nothing. */
void udp_quic_find(struct txn *t, const struct udp_key *key, const char *bytes, size_t len);
/* A backend's datagram: notes how it wants to be called. */
void udp_quic_learn(struct udp_session *s, const char *bytes, size_t len);

#endif
