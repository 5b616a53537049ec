/*
 * worker/tls_bio.h: the socket under a TLS link, as OpenSSL sees it: recv(2) and send(2), but for
 * two things. What was received ahead (worker/ahead.h) is read before anything else, and what is
 * sealed between tls_bio_open and tls_bio_close goes to a place in memory, from where the caller
 * brings it on its way whole or ends the connection.
 */
#ifndef BALLAST_WORKER_TLS_BIO_H
#define BALLAST_WORKER_TLS_BIO_H

#include <openssl/bio.h>
#include "worker/buf.h"

struct tls_left;
struct tls_bytes {
    int fd;
    bool ended;            /* of what is read */
    const char *fed;       /* received ahead, not yet read; NULL: nothing was */
    ssize_t fed_len;       /* as of recv(2), but the error is negative */
    struct tls_left *left; /* of that what OpenSSL had no room for, or NULL */
    char *place;           /* NULL: closed */
    uint32_t place_len, place_cap;
};

/* NULL: no memory. Its owner is the SSL object; bytes outlives it. */
BIO *tls_bio_new(struct tls_bytes *bytes, int fd) MUST_CHECK;
void tls_bio_free(struct tls_bytes *bytes); /* what is left */

/* Takes what was received ahead into b, which the next reads find although they write to b. */
void tls_bio_feed(struct tls_bytes *bytes, struct buf *b);
/* Those reads are over. False: no memory for what is left. */
bool tls_bio_fed(struct tls_bytes *bytes) MUST_CHECK;

void tls_bio_open(struct tls_bytes *bytes, char *place, uint32_t cap);
uint32_t tls_bio_close(struct tls_bytes *bytes); /* how many bytes are there */

#endif
