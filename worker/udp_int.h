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
#define UDP_RUN_MAX        64u    /* datagrams that the kernel cuts out of one message */
#define UDP_RUN_BYTES      65000u /* and bytes: with their headers they must fit in 65535 */

/* Datagrams of one sender end to end, as the kernel gives and takes them (UDP_GRO, UDP_SEGMENT):
 * all `each` long, but the last may be shorter. */
struct udp_run {
    const char *bytes;
    size_t len, each; /* a single datagram: the same */
};

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
    bool merged;              /* its socket gives runs */
};

/* Answers to one client that leave together. */
struct udp_out {
    struct udp_key key;
    int fd;
    uint32_t at, len; /* in the bytes of the batch */
    uint32_t each, count;
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

/* The first datagram of a run is so long. */
static inline size_t udp_run_first(const struct udp_run *r)
{
    return r->len < r->each ? r->len : r->each;
}

/* Takes the first; false: there is no other. */
static inline bool udp_run_next(struct udp_run *r)
{
    size_t first = udp_run_first(r);
    r->bytes += first;
    r->len -= first;
    return r->len > 0;
}

static inline size_t udp_run_count(const struct udp_run *r)
{
    return r->each ? (r->len + r->each - 1) / r->each : 1;
}

/* Datagrams of the listening socket: takes up to UDP_BATCH runs and calls for each. */
void udp_io_receive(struct udp *u, struct acceptor *a,
                    void (*each)(struct acceptor *a, const struct udp_key *key,
                                 const struct udp_run *run));
/* Datagrams of a session's socket, into `room` of UDP_DATAGRAM_BYTES. 0, or -1 with errno. */
int udp_io_read(const struct udp_session *s, char *room, struct udp_run *run) MUST_CHECK;
/* Sends a run on a connected socket. What a full buffer does not take is lost. 0, or -1 when the
 * other end is the matter (errno): then run is what is left. */
int udp_io_send(int fd, struct udp_run *run, uint64_t *sent_bytes) MUST_CHECK;
/* An answer joins the batch; a full one is sent first. */
void udp_io_answer(struct udp *u, const struct udp_session *s, const char *bytes, size_t len);
void udp_io_flush(struct udp *u);

#endif
