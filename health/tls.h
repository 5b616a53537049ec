/*
 * health/tls.h: the client side of TLS for checks, over a non-blocking descriptor that the caller
 * owns and watches. Contexts are made once per set of issuers and kept for the process's life.
 */
#ifndef BALLAST_HEALTH_TLS_H
#define BALLAST_HEALTH_TLS_H

#include <sys/types.h>
#include "conf/conf.h"

struct ssl_st;

enum tls_step { TLS_DONE, TLS_WANT_READ, TLS_WANT_WRITE, TLS_FAILED };

/* host: of the backend, a name, an address or ""; alpn in the protocol's form or NULL. NULL: no
 * memory. */
struct ssl_st *tls_new(const struct conf_health *h, const char *host, const char *alpn,
                       int fd) MUST_CHECK;
enum tls_step tls_handshake(struct ssl_st *ssl, char *why, size_t why_cap) MUST_CHECK;
/* As send(2) and recv(2): EAGAIN to wait, 0 is the end. */
ssize_t tls_send(struct ssl_st *ssl, const void *data, uint32_t len) MUST_CHECK;
ssize_t tls_recv(struct ssl_st *ssl, void *data, uint32_t cap) MUST_CHECK;
/* "TLSv1.3" */
const char *tls_version(const struct ssl_st *ssl);
/* Did both agree on this protocol (alpn's form)? */
bool tls_agreed(const struct ssl_st *ssl, const char *alpn);
void tls_free(struct ssl_st *ssl);

#endif
