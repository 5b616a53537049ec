/*
 * base/proxy_proto.h: the PROXY protocol, versions 1 and 2 ("The PROXY protocol", HAProxy project,
 * 2020): a header before the first byte of a connection that names the client for whom it was made.
 * No I/O, no state: the reader looks at what has come so far, from its first byte. It is strict:
 * one spelling of a number, no byte too many; TLVs are checked for their lengths and passed over.
 */
#ifndef BALLAST_BASE_PROXY_PROTO_H
#define BALLAST_BASE_PROXY_PROTO_H

#include "base/net.h"

#define PROXY_PROTO_HEADER_MAX 16384u /* longest header that is read, its TLVs included */
#define PROXY_PROTO_OUT_MAX    108u   /* longest that is written */

enum proxy_proto_result { PROXY_PROTO_MORE, PROXY_PROTO_DONE, PROXY_PROTO_ERROR };

struct proxy_proto {
    uint32_t len_bytes; /* of the whole header */
    bool local;         /* LOCAL, UNKNOWN or an unspecified family: the connection's own addresses
                           hold, from and to say nothing */
    struct net_addr from, to;
    const char *error; /* static text */
};

/* MORE: all bytes so far are part of a header. DONE: its first len_bytes are one. ERROR: they are
 * none. */
enum proxy_proto_result proxy_proto_read(const char *bytes, size_t len,
                                         struct proxy_proto *out) MUST_CHECK;

/* Writes the header of this version (1 or 2); returns its length. from NULL: a connection of our
 * own (LOCAL). An IPv4 and an IPv6 address together are written as IPv6; unix sockets as a client
 * that cannot be named (UNKNOWN, AF_UNSPEC). */
size_t proxy_proto_write(unsigned version, const struct net_addr *from, const struct net_addr *to,
                         char out[PROXY_PROTO_OUT_MAX]);

#endif
