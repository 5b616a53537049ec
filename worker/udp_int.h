/* worker/udp_int.h: what udp.c (sessions) and udp_io.c (batches of datagrams) share. */
#ifndef BALLAST_WORKER_UDP_INT_H
#define BALLAST_WORKER_UDP_INT_H

#include <sys/socket.h>
#include "base/hash.h"
#include "worker/link.h"
#include "worker/udp.h"
#include "worker/udp_ports.h"

#define UDP_MAGIC          0x0DDA7A6Bu
#define UDP_DATAGRAM_BYTES 65536u
#define UDP_BATCH          32u
#define UDP_OUT_BYTES      (UDP_BATCH * 4096u + UDP_DATAGRAM_BYTES)

/* Who sent it, and to which of our addresses. No padding: it is hashed and compared as bytes. */
struct udp_key {
    struct in6_addr from, to; /* IPv4 mapped */
    uint32_t bind_id, scope;  /* scope: of a link-local client */
    uint16_t port, family;    /* of the listening socket's addresses */
};
_Static_assert(sizeof(struct udp_key) == 44, "no padding");

struct udp_session {
    struct link link; /* first: of conn */
    uint32_t magic;
    struct conn *conn;
    struct acceptor *acceptor; /* answers leave through its socket */
    struct udp_key key;
    uint64_t hash;
    struct udp_session *next; /* same bucket */
    struct ev_io io;          /* the backend's socket; fd -1: none now */
    uint64_t port;            /* of that socket (udp_ports.h) */
    uint64_t asked, answered; /* datagrams */
    uint64_t place;           /* its key in shm/stick.h, the same in every worker */
    uint64_t called;          /* how its backend wants to be called (udp_quic.h) */
    uint64_t noted_us;        /* when it was last said there where it goes; 0: not yet */
};

struct udp_out {
    struct udp_key key;
    int fd;
    uint32_t at, len; /* in the bytes of the batch */
};

/* Per worker, made when the first datagram comes. */
struct udp {
    struct hash_key seed;
    struct udp_session **buckets;
    uint32_t mask, count;
    struct slab slab;
    struct udp_ports ports;
    uint64_t warned_us;
    char *in; /* UDP_BATCH datagrams */
    char *out;
    uint32_t out_bytes, out_count;
    struct udp_out outs[UDP_BATCH];
};

/* Datagrams of the listening socket: takes up to UDP_BATCH and calls for each. */
void udp_io_receive(struct udp *u, struct acceptor *a,
                    void (*each)(struct acceptor *a, const struct udp_key *key, const char *bytes,
                                 size_t len));
/* An answer joins the batch; a full one is sent first. */
void udp_io_answer(struct udp *u, const struct udp_session *s, const char *bytes, size_t len);
void udp_io_flush(struct udp *u);

#endif
