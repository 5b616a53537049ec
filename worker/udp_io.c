/* worker/udp_io.c: datagrams in and out of listening sockets, a batch with each system call. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include "base/net.h"
#include "worker/udp_int.h"

/* Room for one address of either family, and a length. */
union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
};

struct in_batch {
    struct mmsghdr msgs[UDP_BATCH];
    struct iovec iov[UDP_BATCH];
    struct sockaddr_in6 from[UDP_BATCH];
    union control control[UDP_BATCH];
};

static void map4(struct in6_addr *out, const struct in_addr *in)
{
    memset(out, 0, sizeof *out);
    out->s6_addr[10] = out->s6_addr[11] = 0xff;
    memcpy(out->s6_addr + 12, in, 4);
}

/* ---- in ---- */

static void read_destination(struct msghdr *m, struct udp_key *key)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            map4(&key->to, &info.ipi_spec_dst);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            key->to = info.ipi6_addr;
        }
    }
}

void udp_merge(int fd)
{
    (void)setsockopt(fd, IPPROTO_UDP, UDP_GRO, &(int){1}, sizeof(int));
}

/* How long each of the datagrams is that came as one message. */
static size_t read_each(struct msghdr *m, size_t len)
{
    int each = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
            memcpy(&each, CMSG_DATA(c), sizeof each);
    return each > 0 && (size_t)each < len ? (size_t)each : len;
}

/* False: not an address that could be answered. */
static bool read_key(struct msghdr *m, const struct acceptor *a, struct udp_key *key)
{
    const struct sockaddr_in6 *from = m->msg_name;
    memset(key, 0, sizeof *key);
    key->bind_id = a->bind_id;
    key->family = from->sin6_family;
    if (from->sin6_family == AF_INET) {
        const struct sockaddr_in *from4 = m->msg_name;
        map4(&key->from, &from4->sin_addr);
        key->port = from4->sin_port;
    } else if (from->sin6_family == AF_INET6) {
        key->from = from->sin6_addr;
        key->port = from->sin6_port;
        key->scope = from->sin6_scope_id;
    }
    read_destination(m, key);
    return key->port != 0;
}

static void prepare(struct in_batch *b, const struct udp *u)
{
    for (uint32_t i = 0; i < UDP_BATCH; i++) {
        b->iov[i] = (struct iovec){u->in + i * UDP_DATAGRAM_BYTES, UDP_DATAGRAM_BYTES};
        b->msgs[i].msg_hdr = (struct msghdr){.msg_name = &b->from[i],
                                             .msg_namelen = sizeof b->from[i],
                                             .msg_iov = &b->iov[i],
                                             .msg_iovlen = 1,
                                             .msg_control = &b->control[i],
                                             .msg_controllen = sizeof b->control[i]};
    }
}

void udp_io_receive(struct udp *u, struct acceptor *a,
                    void (*each)(struct acceptor *a, const struct udp_key *key,
                                 const struct udp_run *run))
{
    static struct in_batch b; /* a process has one thread, and a batch is done before the next */
    prepare(&b, u);
    int n = recvmmsg(a->io.fd, b.msgs, UDP_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        struct udp_key key;
        size_t len = b.msgs[i].msg_len;
        struct udp_run run = {b.iov[i].iov_base, len, read_each(&b.msgs[i].msg_hdr, len)};
        if (read_key(&b.msgs[i].msg_hdr, a, &key))
            each(a, &key, &run);
    }
}

int udp_io_read(const struct udp_session *s, char *room, struct udp_run *run)
{
    union control control;
    struct iovec iov = {room, UDP_DATAGRAM_BYTES};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};
    ssize_t n = s->merged ? recvmsg(s->io.fd, &m, MSG_DONTWAIT)
                          : recv(s->io.fd, room, UDP_DATAGRAM_BYTES, MSG_DONTWAIT);
    if (n == -1)
        return -1;
    *run = (struct udp_run){room, (size_t)n, (size_t)n};
    if (s->merged)
        run->each = read_each(&m, (size_t)n);
    return 0;
}

/* ---- out ---- */

struct out_batch {
    struct mmsghdr msgs[UDP_BATCH];
    struct iovec iov[UDP_BATCH];
    struct sockaddr_in6 to[UDP_BATCH];
    union control control[UDP_BATCH];
};

/* msg_controllen grows with each. */
static void *put_control(struct msghdr *m, int level, int type, size_t len)
{
    struct cmsghdr *c = (void *)((char *)m->msg_control + m->msg_controllen);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    m->msg_controllen += CMSG_SPACE(len);
    return CMSG_DATA(c);
}

/* The kernel is to cut the message into datagrams of this length. */
static void put_each(struct msghdr *m, size_t each)
{
    uint16_t length = (uint16_t)each;
    memcpy(put_control(m, IPPROTO_UDP, UDP_SEGMENT, sizeof length), &length, sizeof length);
}

/* Longer than a packet may be on this way, or more of them than this kernel cuts: one by one. */
static bool cannot_cut(int error)
{
    return error == EINVAL || error == EMSGSIZE || error == EIO || error == EOPNOTSUPP;
}

static bool own_matter(int error)
{
    return error == EAGAIN || error == ENOBUFS || error == EMSGSIZE || error == EINTR;
}

static ssize_t send_cut(int fd, const struct udp_run *run)
{
    union control control = {.bytes = {0}};
    struct iovec iov = {(void *)(uintptr_t)run->bytes, run->len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
    put_each(&m, run->each);
    return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int udp_io_send(int fd, struct udp_run *run, uint64_t *sent_bytes)
{
    if (run->each < run->len && net_udp_segments()) {
        ssize_t n = send_cut(fd, run);
        *sent_bytes += n > 0 ? (uint64_t)n : 0;
        if (n >= 0 || !cannot_cut(errno))
            return n >= 0 || own_matter(errno) ? 0 : -1;
    }
    do {
        ssize_t n = send(fd, run->bytes, udp_run_first(run), MSG_DONTWAIT | MSG_NOSIGNAL);
        *sent_bytes += n > 0 ? (uint64_t)n : 0;
        if (n == -1 && !own_matter(errno))
            return -1;
    } while (udp_run_next(run));
    return 0;
}

/* To the client, from the address that it had sent to. */
static void address4(struct msghdr *m, struct sockaddr_in *to, const struct udp_key *key)
{
    *to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = key->port};
    memcpy(&to->sin_addr, key->from.s6_addr + 12, 4);
    m->msg_namelen = sizeof *to;
    struct in_pktinfo info = {0};
    memcpy(&info.ipi_spec_dst, key->to.s6_addr + 12, 4);
    memcpy(put_control(m, IPPROTO_IP, IP_PKTINFO, sizeof info), &info, sizeof info);
}

static void address6(struct msghdr *m, struct sockaddr_in6 *to, const struct udp_key *key)
{
    *to = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                .sin6_port = key->port,
                                .sin6_addr = key->from,
                                .sin6_scope_id = key->scope};
    m->msg_namelen = sizeof *to;
    struct in6_pktinfo info = {.ipi6_addr = key->to};
    memcpy(put_control(m, IPPROTO_IPV6, IPV6_PKTINFO, sizeof info), &info, sizeof info);
}

static void address(struct out_batch *b, uint32_t i, const struct udp *u)
{
    const struct udp_out *o = &u->outs[i];
    struct msghdr *m = &b->msgs[i].msg_hdr;
    b->iov[i] = (struct iovec){u->out + o->at, o->len};
    memset(&b->control[i], 0, sizeof b->control[i]);
    *m = (struct msghdr){.msg_name = &b->to[i],
                         .msg_iov = &b->iov[i],
                         .msg_iovlen = 1,
                         .msg_control = &b->control[i]};
    if (o->key.family == AF_INET)
        address4(m, (struct sockaddr_in *)&b->to[i], &o->key);
    else
        address6(m, &b->to[i], &o->key);
    if (o->count > 1)
        put_each(m, o->each);
}

/* The answers of a message that the kernel did not cut. */
static void send_each(int fd, const struct msghdr *m, const struct udp_out *o)
{
    struct msghdr single = *m;
    struct udp_run run = {m->msg_iov->iov_base, o->len, o->each};
    single.msg_controllen -= CMSG_SPACE(sizeof(uint16_t));
    do {
        struct iovec iov = {(void *)(uintptr_t)run.bytes, udp_run_first(&run)};
        single.msg_iov = &iov;
        (void)!sendmsg(fd, &single, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (udp_run_next(&run));
}

/* All for one socket. What cannot be sent is lost, as datagrams are. */
static void send_all(int fd, struct mmsghdr *msgs, const struct udp_out *outs, uint32_t count)
{
    while (count > 0) {
        int n = sendmmsg(fd, msgs, count, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1 && outs->count > 1 && cannot_cut(errno))
            send_each(fd, &msgs->msg_hdr, outs);
        uint32_t done = n > 0 ? (uint32_t)n : 1; /* passes over the one that fails */
        msgs += done;
        outs += done;
        count -= done;
    }
}

void udp_io_flush(struct udp *u)
{
    static struct out_batch b;
    uint32_t from = 0;
    for (uint32_t i = 0; i < u->out_count; i++) {
        address(&b, i, u);
        if (i + 1 == u->out_count || u->outs[i + 1].fd != u->outs[i].fd) {
            send_all(u->outs[i].fd, b.msgs + from, &u->outs[from], i + 1 - from);
            from = i + 1;
        }
    }
    u->out_count = u->out_bytes = 0;
}

/* Does it make a run of the last answer, or a longer one? */
static bool joins(const struct udp_out *o, const struct udp_session *s, size_t len)
{
    return len > 0 && len <= o->each && o->len == o->each * o->count && o->count < UDP_RUN_MAX &&
           o->len + len <= UDP_RUN_BYTES && o->fd == s->acceptor->io.fd &&
           memcmp(&o->key, &s->key, sizeof s->key) == 0;
}

void udp_io_answer(struct udp *u, const struct udp_session *s, const char *bytes, size_t len)
{
    if (u->out_bytes + len > UDP_OUT_BYTES)
        udp_io_flush(u);
    struct udp_out *last = u->out_count ? &u->outs[u->out_count - 1] : NULL;
    if (last && joins(last, s, len) && net_udp_segments()) {
        last->len += (uint32_t)len;
        last->count++;
    } else {
        if (u->out_count == UDP_BATCH)
            udp_io_flush(u);
        u->outs[u->out_count++] = (struct udp_out){.key = s->key,
                                                   .fd = s->acceptor->io.fd,
                                                   .at = u->out_bytes,
                                                   .len = (uint32_t)len,
                                                   .each = (uint32_t)len,
                                                   .count = 1};
    }
    memcpy(u->out + u->out_bytes, bytes, len);
    u->out_bytes += (uint32_t)len;
}
