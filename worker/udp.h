/*
 * worker/udp.h: datagrams. Those of one client (address and port, and the address it sent them to)
 * are a session: a connection without a descriptor of its own (conn, txn: so limits, the pick,
 * accounting, deadlines and generations are those of every connection) and a socket connected to
 * its backend. It ends when it was idle for timeouts.idle, or with its last expected answer
 * (`responses`). An ICMP error is a failed attempt: the next datagram goes to another backend.
 *
 * The kernel gives the datagrams of one client to one worker, as long as the number of workers is
 * the same; after it changed, or when a worker died, some clients come to another worker. It begins
 * a session of its own with the same backend, which the old one noted in the table (shm/stick.h).
 * Sessions survive reloads.
 */
#ifndef BALLAST_WORKER_UDP_H
#define BALLAST_WORKER_UDP_H

#include "worker/types.h"

/* The listening socket is readable: up to a batch of datagrams is taken. */
void udp_on_readable(struct ev_loop *loop, struct ev_io *io, int revents);
/* Before the first socket of this kind: makes what sessions need. 0, or -1 no memory. */
int udp_prepare(struct worker *w) MUST_CHECK;
/* From now on the kernel may put datagrams of one sender to this socket together (Linux 5.0). */
void udp_merge(int fd);
/* The socket goes: its sessions can answer nobody any more. */
void udp_forget(struct worker *w, const struct acceptor *a);
/* The worker leaves, and its listening sockets are closed: takes what is queued on this one, and
 * keeps a copy by which sessions can answer. */
void udp_leave(struct acceptor *a);
/* The worker leaves: this session is kept until its answers have come, and then not for long. */
void udp_drain(struct conn *c);
/* Sends the answers that wait; once per loop iteration. */
void udp_flush(struct worker *w);

#endif
