/*
 * base/client_hello.h: what a TLS ClientHello (RFC 8446 4.1.2) says of where it wants to go: the
 * server name and the protocols (ALPN) that it offers. No I/O, no state. The reader looks at what
 * has come so far, from its first byte; the message may lie in several records, and records in
 * several pieces. What it does not know (GREASE, an encrypted ClientHello inside) is passed over:
 * of an encrypted one the outer name counts.
 */
#ifndef BALLAST_BASE_CLIENT_HELLO_H
#define BALLAST_BASE_CLIENT_HELLO_H

#include "base/base.h"

#define CLIENT_HELLO_MESSAGE_MAX 16384u /* longest message that is read */
#define CLIENT_HELLO_RECORDS_MAX 64u    /* so that looking again at each piece stays cheap */

enum client_hello_result {
    CLIENT_HELLO_MORE,
    CLIENT_HELLO_DONE,
    CLIENT_HELLO_NONE, /* these bytes are not TLS */
    CLIENT_HELLO_ERROR /* they look like TLS and are malformed, or too long */
};

struct client_hello {
    uint32_t host_len, alpn_len;
    char host[256];    /* lower case, NUL-terminated, without a final dot; "": none was sent */
    uint8_t alpn[512]; /* names, each behind a byte with its length, as they were offered */
    const char *error; /* static text */
};

enum client_hello_result client_hello_read(struct client_hello *h, const void *bytes,
                                           size_t len) MUST_CHECK;
/* Is this protocol among those offered? */
bool client_hello_offers(const struct client_hello *h, const char *name, size_t len);

#endif
