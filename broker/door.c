/* broker/door.c: connections and questions of clients. See broker/broker_int.h. */
#include "broker/broker_int.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/net.h"
#include "proc/control.h"

#define AT_ONCE   16       /* questions of one client, connections */
#define SILENT_US 1000000u /* who has not said HELLO by then makes way for others */

static int say(int fd, struct purse_answer *a, const int *fds, uint32_t fd_count)
{
    struct iovec part = {a, sizeof *a};
    a->magic = PURSE_MAGIC;
    a->version = TABLE_VERSION;
    return ctl_send_parts(fd, &part, 1, fds, fd_count);
}

static void say_no_lease(const struct broker *b, int fd, struct purse_answer *a)
{
    a->result = PURSE_NO_LEASE;
    (void)!say(fd, a, NULL, 0);
    count_add(&b->child->table->grant_totals->turned_away, 1);
}

/* ---- questions ---- */

/* It has a row by now, or not. */
static bool welcome(struct loan *l, struct purse_answer *a)
{
    if (!loan_has_purse(l)) {
        say_no_lease(l->broker, l->fd, a);
        return false;
    }
    a->row = l->row;
    a->settled = l->settled;
    return say(l->fd, a, &l->purse_fd, 1) == 0;
}

static void hello(struct loan *l, const struct purse_question *q)
{
    struct purse_answer a = {.seq = q->seq};
    struct loan *own = loan_find_own(l, q->row, q->id);
    if (own) {
        loan_take_over(own, l);
        l = own;
    } else if (l->row == INDEX_NONE) {
        loan_begin(l, q->id);
    }
    if (!welcome(l, &a))
        loan_lost(l);
}

/* False: the connection is over. */
static bool obey(struct loan *l, const struct purse_question *q)
{
    struct purse_answer a = {.seq = q->seq, .row = l->row};
    if (l->row == INDEX_NONE)
        return false;
    switch (q->type) {
    case PURSE_SETTLED:
        l->settled = true;
        broker_watch(l->broker);
        return say(l->fd, &a, NULL, 0) == 0;
    case PURSE_TAKE: loan_take(l, q, &a); return say(l->fd, &a, NULL, 0) == 0;
    case PURSE_LOOK:
        l->granted_us = 0; /* what it was given it has seen */
        loan_sweep(l);
        return true;
    default: return false;
    }
}

/* One question; false: there is none. Whoever says nonsense, or does not listen, loses his
 * connection, and has what he has as long as his process lives: perhaps it is in use. */
static bool next_question(struct loan *l)
{
    struct purse_question q;
    if (UNLIKELY(l->broker->looks_out && net_brings_fds(l->fd))) {
        loan_lost(l);
        return false;
    }
    ssize_t n = recv(l->fd, &q, sizeof q, MSG_DONTWAIT | MSG_TRUNC);
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
        return false;
    bool makes_sense =
        n == (ssize_t)sizeof q && q.magic == PURSE_MAGIC && q.version == TABLE_VERSION;
    if (makes_sense && q.type == PURSE_HELLO) {
        hello(l, &q);
        return false;
    }
    if (makes_sense && q.type == PURSE_BYE) {
        loan_end(l, true);
        return false;
    }
    if (makes_sense && obey(l, &q))
        return true;
    loan_lost(l);
    return false;
}

static void on_question(struct ev_loop *loop UNUSED, ev_io *w, int events UNUSED)
{
    struct loan *l = w->data;
    MAGIC_CHECK(l, LOAN_MAGIC);
    for (int i = 0; i < AT_ONCE && next_question(l); i++)
        ;
}

void door_watch(struct loan *l)
{
    ev_io_init(&l->io, on_question, l->fd, EV_READ);
    l->io.data = l;
    ev_io_start(l->broker->child->loop, &l->io);
}

/* ---- connections ---- */

/* What is queued is read first: to close it with the connection is to close all that came along. */
static bool is_harmless(int fd)
{
    struct purse_question q;
    (void)shutdown(fd, SHUT_RDWR);
    while (!net_brings_fds(fd))
        if (recv(fd, &q, sizeof q, MSG_DONTWAIT) <= 0)
            return true;
    return false;
}

bool door_close(const struct broker *b, int fd)
{
    if (UNLIKELY(b->looks_out) && !is_harmless(fd)) {
        log_warning("a client sent descriptors: its connection is left alone until the broker is "
                    "replaced, and counts as one of client_leases");
        return false;
    }
    close(fd);
    return true;
}

static void turn_away(struct broker *b, int fd)
{
    struct purse_answer a = {0};
    say_no_lease(b, fd, &a);
    b->connections += !door_close(b, fd);
}

static bool is_silent(const struct loan *l, uint64_t now_us)
{
    return l && l->row == INDEX_NONE && now_us - l->since_us > SILENT_US;
}

static bool has_room(struct broker *b)
{
    uint32_t most = b->child->conf->client_leases;
    uint64_t now_us = clock_mono_us();
    for (uint32_t i = 0; i < SEATS && b->connections >= most; i++)
        if (is_silent(b->seats[i], now_us))
            loan_end(b->seats[i], true);
    return b->connections < most;
}

static void admit(struct broker *b, int fd)
{
    struct ucred who = {.pid = 0};
    socklen_t len = sizeof who;
    struct loan *l = NULL;
    if (has_room(b) && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0)
        l = loan_new(b, fd, who.pid);
    if (l)
        door_watch(l);
    else
        turn_away(b, fd);
}

/* Else the loop would turn for as long as somebody waits. */
static void pause_accepting(struct broker *b, int error)
{
    log_warning("cannot accept a client of the library: %s", strerror(error));
    ev_io_stop(b->child->loop, &b->accept);
    ev_timer_again(b->child->loop, &b->pause);
}

void door_on_pause_over(struct ev_loop *loop, ev_timer *w, int events UNUSED)
{
    struct broker *b = w->data;
    MAGIC_CHECK(b, BROKER_MAGIC);
    ev_timer_stop(loop, w);
    ev_io_start(loop, &b->accept);
}

void door_on_connect(struct ev_loop *loop UNUSED, ev_io *w, int events UNUSED)
{
    struct broker *b = w->data;
    MAGIC_CHECK(b, BROKER_MAGIC);
    for (int i = 0; i < AT_ONCE; i++) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd != -1)
            admit(b, fd);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(b, errno);
        if (fd == -1)
            return;
    }
}
