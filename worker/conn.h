/*
 * worker/conn.h: client connections: the one door in (conn_open) and the one out (conn_close),
 * their watcher, deadline and the order of reading. Owner of the descriptor. See worker/types.h for
 * the objects.
 */
#ifndef BALLAST_WORKER_CONN_H
#define BALLAST_WORKER_CONN_H

#include "worker/types.h"

/* Takes an accepted descriptor whose place (slot_client_reserve) is reserved. On failure closes it
 * and gives the place back. */
void conn_open(struct worker *w, int fd, const struct acceptor *a, const struct net_addr *from);
/* A connection without a descriptor: a link stands for it, whose close is called when it ends. Its
 * place is reserved as well. NULL: no memory; the place is given back. */
struct conn *conn_open_session(struct worker *w, const struct acceptor *a,
                               const struct net_addr *from, struct link *link);
/* What came before the protocol (preface.h) is read: the protocol begins. */
void conn_begin(struct conn *c, const struct conf_listener *listener);
/* The protocol itself begins: behind PROXY header and TLS. */
void conn_serve(struct conn *c, const struct conf_listener *listener);
/* A conn for one request of an HTTP/2 connection: without a descriptor, its bytes are the link's.
 * NULL: no memory, or no such listener any more. */
struct conn *conn_open_stream(struct conn *of, struct link *link) MUST_CHECK;
/* One that another worker has, its place ours from now on, whatever the limits: idle, not watched.
 * NULL: no memory. */
struct conn *conn_take_over(struct worker *w, int fd, const struct conf_listener *listener,
                            uint32_t bind_id) MUST_CHECK;
/* Another worker has it: forgets it and its tunnel, without a trace on the wire or in the totals.
 */
void conn_give_up(struct conn *c);
/* The only way a client connection ends. reason: static text for the log. Ends its txn too. */
void conn_close(struct conn *c, const char *reason);
/* The same with a reset: the client must not take what it got for the whole. */
void conn_reset(struct conn *c, const char *reason);
/* Half-closes and drops what still comes for a moment, then closes: the answer just sent is not
 * lost to a reset. */
void conn_linger(struct conn *c);
/* Waits for the next request; when draining, only for a moment. */
void conn_to_idle(struct conn *c);
/* Looks at bytes already here after a request finished; the last call of every event handler that
 * got this far. */
void conn_continue(struct conn *c);
/* The watcher's event, at once or later in its turn (worker/ahead.h). */
void conn_event(struct conn *c, int revents);
/* What the watcher waits for: EV_READ (never again after the client's end), EV_WRITE, both or 0.
 * Costs a system call only when it changes between iterations. */
void conn_want(struct conn *c, int events);
/* The connection is given up (conn_on_timeout) when this much time passes without another call. */
void conn_deadline(struct conn *c, uint32_t ms);
/* Every connection that is not handed over closes after its next answer; idle ones after a moment
 * without a request. */
void conn_drain_all(struct worker *w);

/* When draining: how long a client may still send a request on a kept connection. It is answered,
 * with Connection: close. Closing at once would reset requests that are on their way. */
#define DRAIN_IDLE_MS 1000u

static inline int conn_fd(const struct conn *c)
{
    return c->io.fd;
}

#endif
