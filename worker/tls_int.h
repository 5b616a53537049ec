/* worker/tls_int.h: what the files of TLS share. */
#ifndef BALLAST_WORKER_TLS_INT_H
#define BALLAST_WORKER_TLS_INT_H

#include "worker/tls.h"

/* A link on the owner's descriptor, in its handshake; takes the SSL object. NULL: no memory. */
struct tls *tls_link_new(struct worker *w, struct gen *g, SSL *ssl, struct ev_io *io) MUST_CHECK;
/* What contexts of both sides have in common. */
void tls_common(SSL_CTX *ctx);
/* Adds authorities (DER end to end) to those that a context trusts; name_them: tells clients. */
bool tls_trust(SSL_CTX *ctx, struct conf_der authorities, bool name_them) MUST_CHECK;
/* DER certificates end to end: the first, and the rest. The caller frees both. */
STACK_OF(X509) * tls_parse_chain(struct conf_der bytes, X509 **leaf);
/* The reason of the oldest error in the queue of OpenSSL, which is emptied. */
const char *tls_reason(void);
/* Session tickets with the keys of shm/tickets.h. */
void tls_tickets(SSL_CTX *ctx);

#endif
