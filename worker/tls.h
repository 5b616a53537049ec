/*
 * worker/tls.h: TLS under a connection, as a link (worker/link.h). A link begins with its
 * handshake: until that is over the connection's events go nowhere else, and a worker does only so
 * many steps of handshakes between two looks at its other connections. Contexts belong to a
 * generation (tls_server.c, tls_client.c); a link outlives it.
 *
 * Clients are accepted here; towards backends the same link connects. Errors of a peer end its
 * connection, nothing else.
 */
#ifndef BALLAST_WORKER_TLS_H
#define BALLAST_WORKER_TLS_H

#include <openssl/ssl.h>
#include "worker/link.h"
#include "worker/tls_bio.h"

struct tls {
    struct link link;
    SSL *ssl;
    struct tls_bytes bytes; /* the socket; unused where the kernel seals records */
    struct worker *worker;
    struct ev_io *io;                  /* of the owner */
    struct conn *conn;                 /* a client's, or NULL */
    struct upstream *upstream;         /* a backend's, or NULL */
    struct gen *gen;                   /* held while shaking hands: callbacks look into it */
    char *identity;                    /* what a verified client is, as header fields; or NULL */
    uint64_t sent_us;                  /* last send */
    uint32_t burst_bytes;              /* sent since the connection was idle */
    uint32_t blocked_bytes;            /* of a write that must be repeated */
    struct tls *wait_prev, *wait_next; /* in worker.tls_turns */
    bool own_bio;                      /* bytes is in use */
    bool waits, its_turn;
    bool shaking;
    bool verify;           /* a backend's certificate is checked */
    bool read_wants_write; /* reading waits until the socket takes something */
    bool broken;           /* no close_notify any more */
};

/* Begins a client's TLS; the conn's watcher is active. False: no memory, or no such context. */
bool tls_accept(struct conn *c, const struct conf_listener *listener) MUST_CHECK;
/* Begins TLS on a connected backend; upstream_ready() or txn_connect_failed() follows. False: no
 * memory. */
bool tls_connect(struct upstream *u, struct gen *g, const struct conf_pool *pool,
                 bool http) MUST_CHECK;
/* The TLS link of a connection, or NULL. */
struct tls *tls_of(struct link *l);
/* The protocol agreed on by ALPN is this one. */
bool tls_chose(const struct tls *t, const char *protocol);

/* ---- contexts of a generation: tls_server.c, tls_client.c ---- */

/* Builds what a generation needs; 0, or -1 and why. */
int tls_servers_build(struct gen *g, char *why, size_t why_cap) MUST_CHECK;
void tls_servers_free(struct gen *g);
void tls_clients_free(struct gen *g);
/* A connection of this listener, not yet tied to a descriptor; NULL: none. */
SSL *tls_server_new(struct gen *g, const struct conf_listener *listener) MUST_CHECK;
/* Fields that say who the client is (tls_client_cert.c); malloc'd, NULL: nobody asked. */
char *tls_identity(SSL *ssl, const struct conf_tls *conf);

#endif
