/* worker/udp.c: sessions. */
#include "worker/udp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/key.h"
#include "shm/stick.h"
#include "worker/pick.h"
#include "worker/sticky.h"
#include "worker/txn.h"
#include "worker/udp_int.h"
#include "worker/udp_quic.h"
#include "worker/verdict.h"

#define BUCKETS_FIRST 256u
#define ANSWERS_MAX   16u   /* of one session before the others have their turn */
#define BURST         4u    /* answers at once: there may be more to come */
#define DRAIN_MS      1000u /* that a session which has its answers is kept by who leaves */
#define ANSWER_MS     5000u /* and one which has not: as long as resolvers wait for theirs */
#define LEAVE_BATCHES 8u
#define SESSIONS_MANY 1024u    /* ports are shared between backends from here on */
#define NOTE_US       8000000u /* a session that goes on is noted again */

/* Where sessions are noted: the same in every worker, unlike the seed of the table. */
static const struct hash_key place_key = {0x7564702d73657373u, 0x696f6e2d706c6163u};

static void on_backend(struct ev_loop *loop, struct ev_io *io, int revents);

/* ---- the table ---- */

static struct udp_session **find(struct udp *u, const struct udp_key *key, uint64_t hash)
{
    struct udp_session **at = &u->buckets[hash & u->mask];
    while (*at && ((*at)->hash != hash || memcmp(&(*at)->key, key, sizeof *key) != 0))
        at = &(*at)->next;
    return at;
}

static void spread(struct udp *u, struct udp_session **buckets, uint32_t mask)
{
    for (uint32_t i = 0; u->buckets && i <= u->mask; i++)
        for (struct udp_session *s; (s = u->buckets[i]);) {
            u->buckets[i] = s->next;
            s->next = buckets[s->hash & mask];
            buckets[s->hash & mask] = s;
        }
    free(u->buckets);
    u->buckets = buckets;
    u->mask = mask;
}

/* Without memory the buckets only get longer. */
static void grow(struct udp *u)
{
    uint32_t count = u->buckets ? 2 * (u->mask + 1) : BUCKETS_FIRST;
    struct udp_session **buckets = calloc(count, sizeof *buckets);
    if (buckets)
        spread(u, buckets, count - 1);
}

static void insert(struct udp *u, struct udp_session *s)
{
    if (u->count++ > u->mask)
        grow(u);
    s->next = u->buckets[s->hash & u->mask];
    u->buckets[s->hash & u->mask] = s;
}

int udp_prepare(struct worker *w)
{
    struct udp *u = w->udp ? w->udp : calloc(1, sizeof *u);
    if (!u || w->udp)
        return u ? 0 : -1;
    u->seed = hash_key_random();
    slab_init(&u->slab, sizeof(struct udp_session));
    u->in = malloc((size_t)UDP_BATCH * UDP_DATAGRAM_BYTES);
    u->out = malloc(UDP_OUT_BYTES);
    grow(u);
    if (!u->in || !u->out || !u->buckets) {
        free(u->in);
        free(u->out);
        free(u->buckets);
        free(u);
        return -1;
    }
    w->udp = u;
    return 0;
}

/* ---- the backend ---- */

static void close_socket(struct udp_session *s)
{
    struct worker *w = s->acceptor->worker;
    ev_io_stop(w->loop, &s->io);
    if (s->io.fd == -1)
        return;
    close(s->io.fd);
    s->io.fd = -1;
    udp_ports_close(&w->udp->ports, s->port);
}

/* This backend does not take it: the next datagram goes to another. */
static void leave(struct udp_session *s, int error)
{
    struct txn *t = s->conn->txn;
    account_attempt_failed(t, true, false);
    verdict_failed(t, CONF_FAILURE_CONNECT, strerror(error));
    pick_mark_tried(t);
    close_socket(s);
    txn_leave_backend(t, false);
}

static int open_socket(struct udp_session *s)
{
    struct worker *w = s->acceptor->worker;
    const struct net_addr *to = &entry_at(w->table, s->conn->txn->entry)->addr;
    int fd = udp_ports_open(&w->udp->ports, to, w->udp->count > SESSIONS_MANY, &s->port);
    if (fd == -1)
        return -1;
    s->merged = false;
    ev_io_init(&s->io, on_backend, fd, EV_READ);
    ev_io_start(w->loop, &s->io);
    return 0;
}

static bool own_fault(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
           error == EAGAIN || error == EADDRNOTAVAIL; /* these two: no local port is left */
}

/* Said once a second, however many come. */
static void warn(struct worker *w, uint32_t listener_row, const char *why)
{
    if (w->now_us - w->udp->warned_us < 1000000u)
        return;
    w->udp->warned_us = w->now_us;
    log_warning("datagram dropped: listener=%s reason=\"%s\"",
                w->table->listeners[listener_row].name, why);
}

/* ---- for other workers ----
 *
 * When the number of workers changes the kernel gives some clients to another one: it finds here
 * where their sessions went. */

static void note(struct udp_session *s)
{
    const struct txn *t = s->conn->txn;
    stick_put(t->worker->table, s->place, t->entry, t->worker->now_us);
    s->noted_us = t->worker->now_us;
}

/* A session that ended by itself leaves nothing behind; that of a worker that goes does. */
static void forget_note(const struct udp_session *s)
{
    const struct worker *w = s->acceptor->worker;
    if (s->noted_us && !w->draining && !s->conn->draining)
        stick_drop(w->table, s->place);
}

/* False: nobody can be asked, or there is no descriptor left. */
static bool choose(struct udp_session *s)
{
    struct txn *t = s->conn->txn;
    while (pick_backend(t) == PICK_OK) {
        if (t->attempts < UINT8_MAX && t->attempts++ > 0)
            account_retry(t);
        if (open_socket(s) == 0) {
            account_sent(t);
            note(s);
            s->asked = s->answered = 0;
            return true;
        }
        if (own_fault(errno)) {
            warn(t->worker, s->acceptor->listener_row, strerror(errno));
            txn_leave_backend(t, false);
            return false;
        }
        leave(s, errno);
    }
    return false;
}

/* ---- sessions ---- */

static void forget(struct link *l, bool reset)
{
    (void)reset;
    struct udp_session *s = CONTAINER_OF(l, struct udp_session, link);
    struct udp *u = s->acceptor->worker->udp;
    close_socket(s);
    forget_note(s);
    *find(u, &s->key, s->hash) = s->next;
    u->count--;
    MAGIC_CLEAR(s);
    slab_put(&u->slab, s);
}

static void nothing_to_watch(struct link *l, int events)
{
    (void)l, (void)events;
}

/* Nobody reads or writes such a connection: its datagrams pass it by. */
static const struct link_ops session_ops = {
    .want = nothing_to_watch, .end = forget, .virtual_fd = true};

static void set_address(struct net_addr *a, const struct udp_key *key)
{
    memset(a, 0, sizeof *a);
    a->len_bytes = sizeof a->u.in6;
    a->u.in6.sin6_family = AF_INET6;
    a->u.in6.sin6_addr = key->from;
    a->u.in6.sin6_port = key->port;
}

static bool begin_txn(struct udp_session *s, const char *bytes, size_t len)
{
    struct conn *c = s->conn;
    struct txn *t = txn_begin(c);
    if (!t)
        return false;
    t->req_idempotent = t->req_done = true;
    t->pool = &t->gen->pools[t->listener->pool];
    key_fill(t, NULL, NULL);
    if (t->pool->conf->sticky)
        sticky_find(t, NULL, NULL);
    if (t->listener->quic)
        udp_quic_find(t, &s->key, bytes, len);
    if (t->stick == INDEX_NONE)
        sticky_find_session(t, s->place, t->listener->timeouts.idle_ms);
    txn_set_state(t, TXN_TUNNEL);
    return true;
}

/* In the instance and in the listener. */
static bool reserve_place(struct worker *w, uint32_t listener_row)
{
    if (slot_client_reserve(w->table, w->slot)) {
        if (listener_client_reserve(w->table, listener_row, w->slot))
            return true;
        slot_client_release(w->table, w->slot);
    }
    account_refused(w, listener_row);
    warn(w, listener_row, "no place for another session (max_connections)");
    return false;
}

static struct udp_session *begin(struct acceptor *a, const struct udp_key *key, uint64_t hash,
                                 const char *bytes, size_t len)
{
    struct worker *w = a->worker;
    struct udp_session *s = slab_get(&w->udp->slab);
    if (!s)
        return NULL;
    if (!reserve_place(w, a->listener_row)) {
        slab_put(&w->udp->slab, s);
        return NULL;
    }
    struct net_addr from;
    set_address(&from, key);
    *s = (struct udp_session){.link = {&session_ops},
                              .acceptor = a,
                              .key = *key,
                              .hash = hash,
                              .place = hash_bytes(place_key, key, sizeof *key),
                              .io = {.fd = -1}};
    MAGIC_SET(s, UDP_MAGIC);
    s->conn = conn_open_session(w, a, &from, &s->link);
    if (!s->conn) {
        slab_put(&w->udp->slab, s);
        return NULL;
    }
    insert(w->udp, s);
    return begin_txn(s, bytes, len) ? s : NULL;
}

static void rearm(const struct udp_session *s)
{
    const struct conf_listener *listener = s->conn->txn->listener;
    uint64_t owed = s->asked * (listener->responses ? listener->responses : 1);
    uint32_t idle_ms = listener->timeouts.idle_ms;
    uint32_t most_ms = s->answered < owed ? ANSWER_MS : DRAIN_MS;
    conn_deadline(s->conn, s->conn->draining && idle_ms > most_ms ? most_ms : idle_ms);
}

void udp_drain(struct conn *c)
{
    rearm(CONTAINER_OF(c->link, struct udp_session, link));
}

/* ---- there ---- */

/* False: an error that is the backend's; the run is what it was not given. */
static bool taken(struct udp_session *s, struct udp_run *run)
{
    uint64_t sent_bytes = 0;
    int result = udp_io_send(s->io.fd, run, &sent_bytes);
    account_backend_out(s->conn->txn, sent_bytes);
    return result == 0;
}

static void forward(struct udp_session *s, const struct udp_run *run)
{
    struct conn *c = s->conn;
    struct udp_run left = *run;
    account_client_in(c->txn, run->len);
    for (;;) {
        if (s->io.fd == -1 && !choose(s)) {
            c->txn->failed = true;
            conn_close(c, "no backend for a datagram");
            return;
        }
        if (taken(s, &left))
            break;
        leave(s, errno);
    }
    s->asked += udp_run_count(run);
    if (UNLIKELY(c->worker->now_us - s->noted_us > NOTE_US))
        note(s);
    rearm(s);
}

static void on_datagrams(struct acceptor *a, const struct udp_key *key, const struct udp_run *run)
{
    struct udp *u = a->worker->udp;
    uint64_t hash = hash_bytes(u->seed, key, sizeof *key);
    struct udp_session *s = *find(u, key, hash);
    if (!s)
        s = begin(a, key, hash, run->bytes, udp_run_first(run));
    if (s)
        forward(s, run);
}

void udp_on_readable(struct ev_loop *loop, struct ev_io *io, int revents)
{
    (void)loop, (void)revents;
    struct acceptor *a = CONTAINER_OF(io, struct acceptor, io);
    MAGIC_CHECK(a, ACCEPTOR_MAGIC);
    udp_io_receive(a->worker->udp, a, on_datagrams);
}

/* ---- and back ---- */

/* False: the session is over. */
static bool pass_on(struct udp_session *s, const char *bytes, size_t len)
{
    struct conn *c = s->conn;
    struct udp *u = c->worker->udp;
    uint64_t each = c->txn->listener->responses;
    if (s->answered++ == 0) {
        account_answer(c->txn);
        verdict_response(c->txn, 200); /* it answers: more is not known of datagrams */
    }
    if (c->txn->listener->quic)
        udp_quic_learn(s, bytes, len);
    account_backend_in(c->txn, len);
    account_client_out(c->txn, len);
    udp_io_answer(u, s, bytes, len);
    if (each == 0 || s->answered < s->asked * each) {
        rearm(s);
        return true;
    }
    conn_close(c, "answered");
    return false;
}

static bool pass_run(struct udp_session *s, struct udp_run *run)
{
    do {
        if (!pass_on(s, run->bytes, udp_run_first(run)))
            return false;
    } while (udp_run_next(run));
    return true;
}

/* The backend sends faster than we read: a system call more for this session pays now. */
static void merge(struct udp_session *s)
{
    udp_merge(s->io.fd);
    s->merged = true;
}

static void on_backend(struct ev_loop *loop, struct ev_io *io, int revents)
{
    (void)loop, (void)revents;
    struct udp_session *s = CONTAINER_OF(io, struct udp_session, io);
    MAGIC_CHECK(s, UDP_MAGIC);
    for (size_t taken = 0; taken < ANSWERS_MAX;) {
        struct udp_run run;
        if (udp_io_read(s, s->conn->worker->udp->in, &run) == -1) {
            if (errno != EAGAIN && errno != EINTR)
                leave(s, errno);
            return;
        }
        taken += udp_run_count(&run);
        if (!pass_run(s, &run))
            return;
        if (taken >= BURST && !s->merged)
            merge(s);
    }
}

void udp_leave(struct acceptor *a)
{
    const struct worker *w = a->worker;
    for (uint32_t i = 0; i < LEAVE_BATCHES; i++)
        udp_io_receive(w->udp, a, on_datagrams);
    int fd = w->child->orphaned ? -1 : fcntl(a->io.fd, F_DUPFD_CLOEXEC, 3);
    ev_io_set(&a->io, fd, EV_READ);
}

void udp_flush(struct worker *w)
{
    if (w->udp->out_count)
        udp_io_flush(w->udp);
}

void udp_forget(struct worker *w, const struct acceptor *a)
{
    udp_flush(w);
    for (struct conn *c = w->conns, *next; c; c = next) {
        next = c->next;
        if (c->protocol == CONF_UDP &&
            CONTAINER_OF(c->link, struct udp_session, link)->acceptor == a)
            conn_close(c, "listener removed");
    }
}
