/*
 * worker/preface.h: what comes before the protocol of a connection. First the PROXY header of a
 * listener with proxy_protocol. Exactly the header is taken from the socket, so whatever speaks
 * next (HTTP, TLS, a tunnel) finds the connection as if it began there; the client it names becomes
 * conn->peer. Who is not trusted, sends no header, a malformed one or not in time, is closed
 * without an answer: it speaks another protocol. Then, for a tcp listener with sni, the
 * ClientHello, by which the pool is chosen; the bytes go to the backend untouched. What is not TLS
 * goes to the listener's own pool, or is closed without one; so is a ClientHello that is malformed
 * or does not come in time: nobody guesses for it.
 */
#ifndef BALLAST_WORKER_PREFACE_H
#define BALLAST_WORKER_PREFACE_H

#include "worker/types.h"

void preface_begin(struct conn *c, const struct conf_listener *listener);
void preface_readable(struct conn *c);
void preface_hello_begin(struct conn *c, const struct conf_listener *listener);
void preface_hello_readable(struct conn *c);
void preface_timeout(struct conn *c);

#endif
