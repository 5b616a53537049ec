/* broker/door.c: connections and questions of clients. See broker/broker_int.h. */
#include "broker/broker_int.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/magic.h"
#include "proc/control.h"

#define AT_ONCE 16 /* questions of one client, connections */

static int say(int fd, struct purse_answer *a, const int *fds, uint32_t fd_count)
{
    struct iovec part = {a, sizeof *a};
    a->magic = PURSE_MAGIC;
    a->version = TABLE_VERSION;
    return ctl_send_parts(fd, &part, 1, fds, fd_count);
}

/* ---- questions ---- */

/* It has a row by now, or not. */
static bool welcome(struct loan *l, struct purse_answer *a)
{
    if (!loan_has_purse(l)) {
        a->result = PURSE_NO_LEASE;
        (void)!say(l->fd, a, NULL, 0);
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
    case PURSE_LOOK: loan_sweep(l); return true;
    default: return false;
    }
}

/* One question; false: there is none. Whoever says nonsense, or does not listen, loses his
 * connection, and has what he has as long as his process lives: perhaps it is in use. */
static bool next_question(struct loan *l)
{
    struct purse_question q;
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

static void turn_away(int fd)
{
    struct purse_answer a = {.result = PURSE_NO_LEASE};
    (void)!say(fd, &a, NULL, 0);
    close(fd);
}

static void admit(struct broker *b, int fd)
{
    struct ucred who = {.pid = 0};
    socklen_t len = sizeof who;
    if (b->connections >= b->child->conf->client_leases ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == -1) {
        turn_away(fd);
        return;
    }
    struct loan *l = loan_new(b, fd, who.pid);
    if (l)
        door_watch(l);
}

void door_on_connect(struct ev_loop *loop UNUSED, ev_io *w, int events UNUSED)
{
    struct broker *b = w->data;
    MAGIC_CHECK(b, BROKER_MAGIC);
    for (int i = 0; i < AT_ONCE; i++) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd == -1)
            return;
        admit(b, fd);
    }
}
