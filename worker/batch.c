/* worker/batch.c */
#include "worker/batch.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include "base/log.h"
#include "worker/link.h"
#include "worker/tail.h"
#include "worker/tunnel.h"

#define MESSAGES_MAX 256u
#define BYTES_MAX    131072u

struct message {
    int fd;
    uint32_t at, len;   /* in bytes */
    struct conn *conn;  /* of a client, else NULL */
    struct txn *tunnel; /* NULL: a whole message */
    ssize_t result;     /* as of send(2), but the error is negative */
};

struct batch {
    struct io_uring ring;
    struct ev_loop *loop;
    struct ev_prepare before_wait;
    struct ev_check after_wait;
    uint64_t *held; /* a bit for each descriptor */
    uint32_t held_max, used;
    bool broken; /* the ring: nothing is taken any more */
    bool closed; /* nothing is taken: no flush would follow in this turn */
    struct message messages[MESSAGES_MAX];
    char bytes[BYTES_MAX];
};

uint32_t batch_waiting;
static struct batch *the_batch; /* NULL: nothing is taken */

static void on_before_wait(struct ev_loop *loop, struct ev_prepare *watcher, int revents)
{
    (void)loop, (void)revents;
    struct batch *b = CONTAINER_OF(watcher, struct batch, before_wait);
    if (batch_waiting)
        batch_flush();
    b->closed = true;
}

static void on_after_wait(struct ev_loop *loop, struct ev_check *watcher, int revents)
{
    (void)loop, (void)revents;
    CONTAINER_OF(watcher, struct batch, after_wait)->closed = false;
}

/* Newer kernels do less per call when they know that one thread uses the ring. */
static int open_ring(struct io_uring *ring)
{
    int error = io_uring_queue_init(MESSAGES_MAX, ring,
                                    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN);
    return error == 0 ? 0 : io_uring_queue_init(MESSAGES_MAX, ring, 0);
}

static uint32_t descriptor_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == -1 || r.rlim_cur > 1u << 20)
        return 1u << 20;
    return (uint32_t)r.rlim_cur;
}

static void open_batch(struct ev_loop *loop)
{
    struct batch *b = malloc(sizeof *b);
    if (!b)
        return;
    b->held_max = descriptor_limit();
    b->held = calloc(b->held_max / 64 + 1, sizeof *b->held);
    if (!b->held || open_ring(&b->ring) != 0) {
        free(b->held);
        free(b);
        return;
    }
    b->used = 0;
    b->broken = b->closed = false;
    b->loop = loop;
    ev_prepare_init(&b->before_wait, on_before_wait);
    ev_set_priority(&b->before_wait, EV_MINPRI); /* behind those who still have something to say */
    ev_prepare_start(loop, &b->before_wait);
    ev_check_init(&b->after_wait, on_after_wait);
    ev_set_priority(&b->after_wait, EV_MAXPRI);
    ev_check_start(loop, &b->after_wait);
    the_batch = b;
}

static void close_batch(struct batch *b)
{
    batch_flush();
    the_batch = NULL;
    ev_prepare_stop(b->loop, &b->before_wait);
    ev_check_stop(b->loop, &b->after_wait);
    io_uring_queue_exit(&b->ring);
    free(b->held);
    free(b);
}

bool batch_use(struct ev_loop *loop, bool wanted)
{
    if (wanted && !the_batch)
        open_batch(loop);
    else if (!wanted && the_batch)
        close_batch(the_batch);
    return the_batch != NULL;
}

/* ---- taking ---- */

bool batch_holds(int fd)
{
    const struct batch *b = the_batch;
    return b && (uint32_t)fd < b->held_max && (b->held[fd / 64] >> (fd % 64) & 1);
}

static void copy(char *to, struct buf *from, uint32_t len)
{
    if (from && len)
        memcpy(to, buf_at(from), len);
}

/* Where so many bytes for a descriptor may be put; NULL: not here. */
static char *find_room(int fd, uint32_t len)
{
    struct batch *b = the_batch;
    if (!b || len == 0 || len > BATCH_MESSAGE_BYTES || (uint32_t)fd >= b->held_max)
        return NULL;
    if (batch_waiting == MESSAGES_MAX || b->used + len > BYTES_MAX)
        batch_flush();
    /* The second of a turn would have to follow the first. */
    if (b->broken || b->closed || batch_holds(fd))
        return NULL;
    return b->bytes + b->used;
}

static void add(struct message m, uint32_t len)
{
    struct batch *b = the_batch;
    m.at = b->used;
    m.len = len;
    b->messages[batch_waiting++] = m;
    b->used += len;
    b->held[m.fd / 64] |= (uint64_t)1 << (m.fd % 64);
}

static bool take(struct message m, struct buf *first, struct buf *second, uint32_t second_ready)
{
    uint32_t head = first ? buf_len(first) : 0, len = head + second_ready;
    char *to = find_room(m.fd, len);
    if (!to)
        return false;
    copy(to, first, head);
    copy(to + head, second, second_ready);
    add(m, len);
    link_consume(first, second, len);
    return true;
}

char *batch_place(int fd)
{
    return find_room(fd, BATCH_MESSAGE_BYTES);
}

void batch_placed(struct conn *c, uint32_t len)
{
    add((struct message){.fd = c->io.fd, .conn = c}, len);
}

bool batch_conn(struct conn *c, struct buf *first, struct buf *second, uint32_t second_ready)
{
    return take((struct message){.fd = c->io.fd, .conn = c}, first, second, second_ready);
}

bool batch_upstream(struct upstream *u, struct buf *first, struct buf *second,
                    uint32_t second_ready)
{
    return take((struct message){.fd = u->io.fd}, first, second, second_ready);
}

bool batch_tunnel(struct txn *t, int fd, bool to_client, struct buf *b)
{
    struct conn *client = to_client ? t->conn : NULL;
    return take((struct message){.fd = fd, .conn = client, .tunnel = t}, b, NULL, 0);
}

/* ---- sending ---- */

static void send_alone(const struct batch *b, struct message *m)
{
    ssize_t n;
    do
        n = send(m->fd, b->bytes + m->at, m->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n == -1 && errno == EINTR);
    m->result = n == -1 ? -errno : n;
}

static void send_one_by_one(struct batch *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        send_alone(b, &b->messages[i]);
}

static void take_results(struct batch *b)
{
    struct io_uring_cqe *cqe;
    unsigned at, seen = 0;
    io_uring_for_each_cqe(&b->ring, at, cqe)
    {
        b->messages[cqe->user_data].result = cqe->res;
        seen++;
    }
    io_uring_cq_advance(&b->ring, seen);
}

/* MSG_DONTWAIT: every message that the kernel took is decided before the call returns. One that was
 * taken and not decided may have been sent: its connection is shut. Those that were not taken go
 * alone, and the ring, which still holds them, is not used again. */
static void send_together(struct batch *b, uint32_t count)
{
    uint32_t offered = 0;
    int taken;
    for (struct io_uring_sqe *sqe; offered < count && (sqe = io_uring_get_sqe(&b->ring)) != NULL;
         offered++) {
        struct message *m = &b->messages[offered];
        io_uring_prep_send(sqe, m->fd, b->bytes + m->at, m->len, MSG_NOSIGNAL | MSG_DONTWAIT);
        io_uring_sqe_set_data64(sqe, offered);
        m->result = -ECANCELED;
    }
    do
        taken = io_uring_submit_and_wait(&b->ring, offered);
    while (taken == -EINTR);
    take_results(b);
    for (uint32_t i = taken > 0 ? (uint32_t)taken : 0; i < count; i++) {
        b->broken = true;
        send_alone(b, &b->messages[i]);
    }
}

/* Its descriptor tells the owner of a connection that broke. */
static bool is_broken(ssize_t result)
{
    return result < 0 && result != -EAGAIN && result != -ENOBUFS && result != -ENOMEM &&
           result != -EINTR && result != -ECANCELED;
}

/* What may have been sent is not sent again. */
static void settle_tunnel(const struct batch *b, const struct message *m, uint32_t sent)
{
    if (UNLIKELY(m->result == -ECANCELED))
        (void)shutdown(m->fd, SHUT_RDWR);
    tunnel_released(m->tunnel, m->conn != NULL, sent, b->bytes + m->at + sent, m->len - sent);
}

static void settle(const struct batch *b, const struct message *m)
{
    uint32_t sent = m->result > 0 ? (uint32_t)m->result : 0;
    if (m->tunnel) {
        settle_tunnel(b, m, sent);
        return;
    }
    if (sent == m->len || is_broken(m->result) || (m->conn && m->conn->state == CONN_CLOSED))
        return;
    if (m->result == -ECANCELED || !m->conn ||
        !tail_keep(m->conn, b->bytes + m->at + sent, m->len - sent))
        (void)shutdown(m->fd, SHUT_RDWR);
}

void batch_flush(void)
{
    struct batch *b = the_batch;
    uint32_t count = batch_waiting;
    if (!b || count == 0)
        return;
    if (count > 1 && !b->broken)
        send_together(b, count);
    else
        send_one_by_one(b, count);
    batch_waiting = b->used = 0;
    for (uint32_t i = 0; i < count; i++)
        b->held[b->messages[i].fd / 64] &= ~((uint64_t)1 << (b->messages[i].fd % 64));
    for (uint32_t i = 0; i < count; i++)
        settle(b, &b->messages[i]);
}

/* ---- receiving ---- */

static void take_receipts(struct batch *b, const struct batch_receipt *receipts)
{
    struct io_uring_cqe *cqe;
    unsigned at, seen = 0;
    io_uring_for_each_cqe(&b->ring, at, cqe)
    {
        receipts[cqe->user_data].into->ahead = cqe->res == -EINTR ? -EAGAIN : cqe->res;
        seen++;
    }
    io_uring_cq_advance(&b->ring, seen);
}

/* MSG_DONTWAIT, as for sending. One that was taken and not decided may have received: it is as good
 * as reset. Those that were not taken are told by their descriptors again. */
bool batch_receive(const struct batch_receipt *receipts, uint32_t count)
{
    struct batch *b = the_batch;
    if (!b || b->broken)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);
        struct buf *into = receipts[i].into;
        assert(sqe); /* the ring is empty between two calls, and larger */
        io_uring_prep_recv(sqe, receipts[i].fd, into->data, into->cap, MSG_DONTWAIT);
        io_uring_sqe_set_data64(sqe, i);
        into->ahead = -ECONNRESET;
    }
    int taken;
    do
        taken = io_uring_submit_and_wait(&b->ring, count);
    while (taken == -EINTR);
    take_receipts(b, receipts);
    b->broken = taken != (int)count;
    for (uint32_t i = taken > 0 ? (uint32_t)taken : 0; i < count; i++)
        receipts[i].into->ahead = -EAGAIN;
    return true;
}
