/* worker/tls.c: the link: bytes through an SSL object on the connection's own descriptor. */
#include "worker/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/log.h"
#include "base/net.h"
#include "worker/account.h"
#include "worker/conn.h"
#include "worker/dispatch.h"
#include "worker/h2.h"
#include "worker/h2_backend.h"
#include "worker/side.h"
#include "worker/txn_start.h"
#include "worker/upstream.h"
#include "worker/tls_int.h"
#include "worker/tls_turns.h"
#include "worker/worker_int.h"

/* The first records fit in the first flight of packets, so that nothing waits for a second one to
 * be of use; later ones are as long as they can be. */
#define RECORD_FIRST_BYTES 4096u
#define RECORD_BYTES       16384u
#define BURST_BYTES        65536u
#define BURST_IDLE_US      1000000u

static const struct link_ops tls_ops;

static struct tls *self(struct link *l)
{
    return CONTAINER_OF(l, struct tls, link);
}

struct tls *tls_of(struct link *l)
{
    return l && l->ops == &tls_ops ? self(l) : NULL;
}

bool tls_chose(const struct tls *t, const char *protocol)
{
    const unsigned char *name;
    unsigned len = 0;
    SSL_get0_alpn_selected(t->ssl, &name, &len);
    return len == strlen(protocol) && memcmp(name, protocol, len) == 0;
}

/* ---- failures ---- */

/* What a call that did not succeed means, as errno. */
static int cause(struct tls *t, int result)
{
    int saved = errno;
    int error = SSL_get_error(t->ssl, result);
    t->read_wants_write = false;
    switch (error) {
    case SSL_ERROR_WANT_READ: return EAGAIN;
    case SSL_ERROR_WANT_WRITE: return EAGAIN;
    case SSL_ERROR_ZERO_RETURN: return 0;
    default: break;
    }
    ERR_clear_error(); /* the next caller must not find what is ours */
    t->broken = true;
    return error == SSL_ERROR_SYSCALL && saved != 0 && saved != EAGAIN ? saved : ECONNRESET;
}

const char *tls_reason(void)
{
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return reason ? reason : "closed";
}

static ssize_t fail(int error)
{
    errno = error;
    return error == 0 ? 0 : -1;
}

/* ---- bytes ---- */

/* Bytes of records wait here, and no descriptor tells of them. */
static bool has_pending(const struct tls *t)
{
    return t->bytes.left || SSL_has_pending(t->ssl);
}

static ssize_t receive(struct tls *t, struct buf *b)
{
    size_t total = 0, n = 0;
    do {
        if (!SSL_read_ex(t->ssl, b->data + b->end, buf_room(b), &n)) {
            int error = cause(t, 0);
            t->read_wants_write = error == EAGAIN && SSL_want_write(t->ssl);
            return total ? (ssize_t)total : fail(error);
        }
        b->end += (uint32_t)n;
        total += n;
    } while (buf_room(b) > 0 && has_pending(t));
    return (ssize_t)total;
}

static ssize_t tls_recv(struct link *l, struct buf *b)
{
    struct tls *t = self(l);
    tls_bio_feed(&t->bytes, b);
    ssize_t n = receive(t, b);
    int saved = errno;
    if (!tls_bio_fed(&t->bytes)) {
        t->broken = true;
        return fail(ENOMEM);
    }
    errno = saved;
    return n;
}

/* All of a record that was begun must be here before something of it comes from elsewhere. */
static bool tls_ahead(struct link *l)
{
    const struct tls *t = self(l);
    return t->own_bio && !t->shaking && !t->broken && !has_pending(t);
}

static uint32_t record_bytes(struct tls *t)
{
    uint64_t now_us = t->worker->now_us;
    if (now_us - t->sent_us > BURST_IDLE_US)
        t->burst_bytes = 0;
    t->sent_us = now_us;
    uint32_t most = t->burst_bytes < BURST_BYTES ? RECORD_FIRST_BYTES : RECORD_BYTES;
    return most > t->blocked_bytes ? most : t->blocked_bytes;
}

/* The next record's bytes: where they lie, or both runs moved together when they fit in one. */
static const void *next_run(struct buf *first, struct buf *second, uint32_t second_len,
                            uint32_t most, uint32_t *len)
{
    static char together[RECORD_BYTES];
    uint32_t first_len = first ? buf_len(first) : 0;
    if (first_len == 0) {
        *len = second_len < most ? second_len : most;
        return second_len ? buf_at(second) : NULL;
    }
    if (first_len >= most || second_len == 0) {
        *len = first_len < most ? first_len : most;
        return buf_at(first);
    }
    uint32_t more = most - first_len < second_len ? most - first_len : second_len;
    memcpy(together, buf_at(first), first_len);
    memcpy(together + first_len, buf_at(second), more);
    *len = first_len + more;
    return together;
}

static ssize_t tls_send(struct link *l, struct buf *first, struct buf *second,
                        uint32_t second_ready)
{
    struct tls *t = self(l);
    size_t total = 0, n = 0;
    for (;;) {
        uint32_t len = 0, first_len = first ? buf_len(first) : 0;
        const void *data = next_run(first, second, second_ready, record_bytes(t), &len);
        if (!data)
            return (ssize_t)total;
        if (!SSL_write_ex(t->ssl, data, len, &n)) {
            int error = cause(t, 0);
            t->blocked_bytes = error == EAGAIN ? len : 0;
            return total && error == EAGAIN ? (ssize_t)total : fail(error ? error : EPIPE);
        }
        t->blocked_bytes = 0;
        t->burst_bytes += (uint32_t)n;
        total += n;
        link_consume(first, second, n);
        second_ready -= n > first_len ? (uint32_t)n - first_len : 0;
    }
}

/* What OpenSSL adds to so many bytes fits in a message, even cut into the smallest fragments. */
#define SEALED_BYTES 3072u
_Static_assert(SEALED_BYTES + SEALED_BYTES / 512u * 96u + 256u <= BATCH_MESSAGE_BYTES,
               "a sealed message fits in the batch");
_Static_assert(SEALED_BYTES <= RECORD_FIRST_BYTES, "one record takes all of it");

/* Small fragments, where a client asked for them, are written one by one. */
static bool write_all(SSL *ssl, const char *from, size_t len)
{
    for (size_t done = 0, n = 0; done < len; done += n)
        if (!SSL_write_ex(ssl, from + done, len - done, &n))
            return false;
    return true;
}

static bool tls_seal(struct link *l, struct buf *first, struct buf *second, uint32_t second_ready)
{
    struct tls *t = self(l);
    size_t all = (first ? buf_len(first) : 0) + second_ready;
    uint32_t len = 0;
    if (!t->own_bio || !t->conn || t->broken || t->blocked_bytes || all > SEALED_BYTES)
        return false;
    char *place = batch_place(t->io->fd);
    const void *data = place ? next_run(first, second, second_ready, record_bytes(t), &len) : NULL;
    if (!data)
        return false;
    tls_bio_open(&t->bytes, place, BATCH_MESSAGE_BYTES);
    bool good = write_all(t->ssl, data, len);
    uint32_t sealed = tls_bio_close(&t->bytes);
    if (!good) { /* a part may be lost: the connection is */
        (void)cause(t, 0);
        t->broken = true;
        (void)shutdown(t->io->fd, SHUT_RDWR);
        return false;
    }
    t->burst_bytes += len;
    batch_placed(t->conn, sealed);
    link_consume(first, second, all);
    return true;
}

static int tls_shut(struct link *l)
{
    struct tls *t = self(l);
    if (!t->shaking && !t->broken && SSL_shutdown(t->ssl) < 0)
        (void)cause(t, -1);
    ERR_clear_error();
    return shutdown(t->io->fd, SHUT_WR);
}

static void tls_want(struct link *l, int events)
{
    struct tls *t = self(l);
    struct ev_loop *loop = t->worker->loop;
    if (t->read_wants_write && events & EV_READ && !(events & EV_WRITE)) {
        ev_io_stop(loop, t->io);
        ev_io_modify(t->io, EV_READ | EV_WRITE);
        ev_io_start(loop, t->io);
    }
    if (events & EV_READ && !t->shaking && has_pending(t))
        ev_feed_event(loop, t->io, EV_READ);
}

/* ---- the handshake ---- */

static void let_go(struct tls *t)
{
    t->shaking = false;
    if (t->gen)
        gen_unref(t->worker, t->gen);
    t->gen = NULL;
}

static int shaken(struct tls *t)
{
    let_go(t);
    if (t->upstream) {
        upstream_ready(t->upstream);
        return 0;
    }
    struct conn *c = t->conn;
    const struct conf_listener *listener = conn_listener(c);
    account_tls(c, SSL_session_reused(t->ssl) ? TLS_RESUMED : TLS_FULL);
    if (!listener || !listener->tls) {
        conn_close(c, "listener removed");
        return 0;
    }
    t->identity = tls_identity(t->ssl, listener->tls);
    c->identity = t->identity;
    c->tls_version = SSL_get_version(t->ssl);
    c->secure = true;
    link_watch(&t->link, t->worker->loop, t->io, EV_READ);
    if (listener->protocol == CONF_HTTP && tls_chose(t, "h2"))
        h2_begin(c);
    else
        conn_serve(c, listener);
    return c->state != CONN_CLOSED && has_pending(t) ? EV_READ : 0;
}

/* Somebody speaks plain HTTP to us: they are told, in plain HTTP. */
static void answer_plain(struct tls *t, struct conn *c)
{
    t->broken = true;
    t->link.ops->end(&t->link, false);
    c->link = NULL;
    txn_start_refused(c, 400, "This port speaks TLS: use https");
}

/* An operator wants to know, but not a thousand times a second. */
static void backend_not_shaken(struct tls *t, const char *why)
{
    struct worker *w = t->worker;
    long verified = SSL_get_verify_result(t->ssl);
    if (verified != X509_V_OK && t->verify)
        why = X509_verify_cert_error_string(verified);
    if (w->now_us - w->tls_said_us >= 1000000u) {
        log_warning("TLS to a backend failed: backend=%s reason=\"%s\"",
                    entry_at(w->table, t->upstream->entry)->endpoint, why);
        w->tls_said_us = w->now_us;
    }
    if (t->upstream->h2)
        h2_backend_close(t->upstream->h2, "TLS handshake failed");
    else if (t->upstream->side)
        side_failed(t->upstream->side);
    else
        txn_connect_failed(t->upstream->txn, ECONNABORTED);
}

static int not_shaken(struct tls *t, int result)
{
    int error = SSL_get_error(t->ssl, result);
    unsigned long code = ERR_peek_error();
    bool plain = error == SSL_ERROR_SSL && ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST;
    const char *why = tls_reason();
    t->broken = true;
    if (t->upstream) {
        backend_not_shaken(t, why);
        return 0;
    }
    log_debug("TLS handshake failed fd=%d reason=\"%s\"", t->io->fd, why);
    account_tls(t->conn, TLS_FAILED);
    if (plain && t->conn->protocol == CONF_HTTP)
        answer_plain(t, t->conn);
    else
        conn_close(t->conn, "TLS handshake failed");
    return 0;
}

static int shake(struct tls *t)
{
    if (!tls_turns_take(t))
        return 0;
    int result = SSL_do_handshake(t->ssl);
    if (result == 1)
        return shaken(t);
    int error = SSL_get_error(t->ssl, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        return not_shaken(t, result);
    link_watch(&t->link, t->worker->loop, t->io, error == SSL_ERROR_WANT_READ ? EV_READ : EV_WRITE);
    return 0;
}

static int tls_ready(struct link *l, int revents)
{
    struct tls *t = self(l);
    if (t->shaking)
        return shake(t);
    return t->read_wants_write ? revents | EV_READ : revents;
}

/* Tickets come on idle connections too; anything else is out of step. */
static bool tls_idle(struct link *l)
{
    struct tls *t = self(l);
    char byte;
    size_t n = 0;
    return !SSL_read_ex(t->ssl, &byte, 1, &n) && cause(t, 0) == EAGAIN;
}

static void tls_end(struct link *l, bool reset)
{
    struct tls *t = self(l);
    t->broken |= t->conn && t->conn->tail; /* nothing may follow a part of a record */
    tls_turns_leave(t);
    if (t->shaking)
        let_go(t);
    else if (!reset && !t->broken && !(SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN))
        (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
    if (SSL_is_init_finished(t->ssl)) /* a peer that just goes may come back with its session */
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
    tls_bio_free(&t->bytes);
    free(t->identity);
    free(t);
}

static const struct link_ops tls_ops = {
    .recv = tls_recv,
    .send = tls_send,
    .shut = tls_shut,
    .want = tls_want,
    .ready = tls_ready,
    .idle = tls_idle,
    .seal = tls_seal,
    .ahead = tls_ahead,
    .end = tls_end,
};

/* ---- beginnings ---- */

/* The kernel seals records only for its own kind. */
static bool set_socket(struct tls *t, SSL *ssl, int fd)
{
    if (net_kernel_tls())
        return SSL_set_fd(ssl, fd) == 1;
    BIO *bio = tls_bio_new(&t->bytes, fd);
    if (!bio)
        return false;
    SSL_set_bio(ssl, bio, bio);
    t->own_bio = true;
    return true;
}

struct tls *tls_link_new(struct worker *w, struct gen *g, SSL *ssl, struct ev_io *io)
{
    struct tls *t = ssl ? calloc(1, sizeof *t) : NULL;
    if (!t || !set_socket(t, ssl, io->fd)) {
        ERR_clear_error();
        SSL_free(ssl);
        free(t);
        return NULL;
    }
    t->link.ops = &tls_ops;
    t->ssl = ssl;
    t->worker = w;
    t->io = io;
    t->shaking = true;
    t->gen = g;
    gen_ref(g);
    return t;
}

bool tls_accept(struct conn *c, const struct conf_listener *listener)
{
    struct worker *w = c->worker;
    struct tls *t = tls_link_new(w, conn_gen(c), tls_server_new(conn_gen(c), listener), &c->io);
    if (!t)
        return false;
    t->conn = c;
    c->link = &t->link;
    SSL_set_accept_state(t->ssl);
    return true;
}
