/*
 * worker/h2.h: HTTP/2 from clients (RFC 9113, RFC 8441), by libnghttp2.
 *
 * A session owns the socket: its conn is in CONN_H2 and does nothing else. Each stream is a conn of
 * its own without a descriptor: its link (worker/link.h) turns the stream's fields into the text of
 * an HTTP/1.1 request, which our own strict parser reads like any other, so that nothing passes
 * that a client of HTTP/1.1 could not say; and it turns the text of the answer, whoever wrote it,
 * back into fields, data and trailers. What serves requests knows of none of this.
 *
 * Flow control goes from end to end: a stream's window opens as its bytes are taken, and what a
 * client does not read stays with the backend. Sessions are flushed once all events of a loop
 * iteration are through.
 */
#ifndef BALLAST_WORKER_H2_H
#define BALLAST_WORKER_H2_H

#include "worker/types.h"

struct h2_session;

#define H2_PREFACE       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define H2_PREFACE_BYTES 24u

void h2_init(struct worker *w);
/* The conn speaks HTTP/2 from here on; what it read already is taken from c->in. */
void h2_begin(struct conn *c);
void h2_readable(struct conn *c);
void h2_writable(struct conn *c);
void h2_timeout(struct conn *c);
/* Tells the client to go elsewhere with new requests; those in flight finish. */
void h2_drain(struct conn *c);
/* Calls on() with the conn of each stream; it may close that one. */
void h2_each(struct conn *c, void (*on)(struct conn *stream));
/* The conn is being closed: all streams end with it. */
void h2_end(struct conn *c);

#endif
