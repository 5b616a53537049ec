/*
 * base/net.h: socket addresses and thin wrappers over socket calls. No policy, no events. All
 * descriptors made here are non-blocking and close-on-exec.
 */
#ifndef BALLAST_BASE_NET_H
#define BALLAST_BASE_NET_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/base.h"

/* One address of any family we speak. len_bytes is what bind/connect want. */
struct net_addr {
    socklen_t len_bytes;
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } u;
};

#define NET_ADDR_STRLEN 128 /* enough for any formatted net_addr */

/*
 * Parses "10.0.0.1:80", "[::1]:80", "*:80" (both families: IPv6 any, dual-stack), "unix:/path"
 * (absolute). No name resolution. The port is required, 1 to 65535. Returns 0, or -1 with a reason
 * in why (never with errno).
 * "*:80" and "[::]:80" are the same address: who wants IPv6 alone says NET_V6ONLY to net_listen.
 */
int net_addr_parse(const char *text, struct net_addr *out, char *why, size_t why_cap) MUST_CHECK;
/* As above, and resolves a host name with getaddrinfo (blocking: master and tools only); the first
 * address is taken, but 127.0.0.1 before ::1, so that "localhost" reaches what listens on IPv4
 * alone. */
int net_addr_resolve(const char *text, struct net_addr *out, char *why, size_t why_cap) MUST_CHECK;
/* "10.0.0.1:80", "[::1]:80", "unix:/path"; out holds NET_ADDR_STRLEN. Returns out. */
char *net_addr_format(const struct net_addr *a, char *out, size_t cap);
/* An address in network order as text, for what runs per request: no locale, no format string.
 * Returns the length, or 0: family is neither AF_INET nor AF_INET6. */
uint32_t net_ip_format(int family, const void *ip, char out[INET6_ADDRSTRLEN]);
/* The host part alone: "10.0.0.1", "::1", "unix:/path"; IPv4-mapped IPv6 is shown as IPv4. */
char *net_addr_format_host(const struct net_addr *a, char *out, size_t cap);
uint16_t net_addr_port(const struct net_addr *a); /* 0 for unix */
bool net_addr_equal(const struct net_addr *a, const struct net_addr *b);
bool net_addr_is_loopback(const struct net_addr *a); /* 127/8, ::1, unix */
bool net_addr_is_wildcard(const struct net_addr *a);
void net_addr_from_sockaddr(struct net_addr *a, const struct sockaddr *sa, socklen_t len_bytes);

/* CIDR block: "10.0.0.0/8", "::1/128", "192.168.1.7". */
struct net_cidr {
    uint8_t family; /* AF_INET or AF_INET6 */
    uint8_t prefix_bits;
    uint8_t bytes[16];
};
int net_cidr_parse(const char *text, struct net_cidr *out) MUST_CHECK; /* 0 or -1 */
bool net_cidr_match(const struct net_cidr *c, const struct net_addr *a);

enum net_listen_flags { NET_REUSEPORT = 1, NET_V6ONLY = 2 };
/* A bound, listening stream socket, or -1 with errno. backlog: see listen(2). Unix: an old socket
 * file nobody listens on is replaced, mode 0660. The IPv6 wildcard without NET_V6ONLY becomes
 * 0.0.0.0 on a host without IPv6. */
int net_listen(const struct net_addr *a, int backlog, unsigned flags) MUST_CHECK;
/* Starts a connect. Returns a descriptor (connected or in progress), or -1 with errno. */
int net_connect(const struct net_addr *a) MUST_CHECK;
/* SO_ERROR of a finished connect: 0 or an errno value. */
int net_connect_result(int fd) MUST_CHECK;
int net_set_nonblock(int fd) MUST_CHECK;
/* A unix socket takes no descriptors from its peer, nor does what it accepts: whose last copy is
 * with us is ours to close, and that lasts as long as its SO_LINGER says. Sockets made here are so.
 * 0, or -1 with errno: a kernel before 6.16. */
int net_refuse_fds(int fd) MUST_CHECK;
/* Do descriptors come with the next message of a unix socket? */
bool net_brings_fds(int fd);
void net_set_nodelay(int fd); /* no-op for unix sockets */
/* Can the kernel seal TLS records itself (kTLS)? Looks once. */
bool net_kernel_tls(void);
/* Can the kernel cut what is sent into datagrams (UDP_SEGMENT)? Looks once. */
bool net_udp_segments(void);
void net_set_linger0(int fd); /* the next close sends RST */
void net_set_keepalive(int fd);

#endif
