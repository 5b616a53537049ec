/* client/lease.c: see client/lease.h. */
#include "client/lease.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "shm/slot.h"

#define ANSWER_MS 250      /* an answer takes some 20 us; a broker that is replaced, some ms */
#define RETRY_US  20000u   /* it is being replaced, or has no lease for us */
#define HANGS_US  1000000u /* it does not answer */
#define GROW      4u       /* of so many in flight, one more is asked for beforehand */

/* ---- the socket ---- */

static void hang_up(struct ballast_client *c, uint32_t wait_us)
{
    if (c->lease.fd != -1)
        close(c->lease.fd);
    c->lease.fd = -1;
    c->lease.retry_us = wait_us ? clock_mono_us() + wait_us : 0;
}

static bool is_owners(const struct ballast_client *c, int fd)
{
    struct ucred who;
    struct stat st;
    socklen_t len = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
           fstat(c->table.fd, &st) == 0 && who.uid == st.st_uid;
}

static int dial(const struct ballast_client *c)
{
    struct sockaddr_un name;
    const struct timeval patience = {.tv_usec = ANSWER_MS * 1000};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return -1;
    table_socket_name(c->table.header->master_pid, &name);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        connect(fd, (struct sockaddr *)&name, sizeof name) == 0 && is_owners(c, fd))
        return fd;
    close(fd);
    return -1;
}

static bool say(struct ballast_client *c, struct purse_question *q, int flags)
{
    q->magic = PURSE_MAGIC;
    q->version = TABLE_VERSION;
    q->seq = ++c->lease.seq;
    return send(c->lease.fd, q, sizeof *q, MSG_NOSIGNAL | flags) == (ssize_t)sizeof *q;
}

static int fd_of(struct msghdr *h)
{
    struct cmsghdr *m = CMSG_FIRSTHDR(h);
    int fd = -1;
    if (m && m->cmsg_level == SOL_SOCKET && m->cmsg_type == SCM_RIGHTS &&
        m->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(m), sizeof fd);
    return fd;
}

/* *fd: what came with it, -1: nothing. Signals do not prolong the wait by more than its length. */
static bool hear(struct ballast_client *c, struct purse_answer *a, int *fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } space;
    struct iovec part = {a, sizeof *a};
    struct msghdr h = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = space.bytes,
                       .msg_controllen = sizeof space};
    uint64_t begin_us = clock_mono_us();
    ssize_t n;
    do {
        n = recvmsg(c->lease.fd, &h, MSG_CMSG_CLOEXEC);
    } while (n == -1 && errno == EINTR && clock_mono_us() - begin_us < ANSWER_MS * 1000u);
    if (n == -1 && errno == EINTR)
        errno = EAGAIN;
    *fd = n >= 0 ? fd_of(&h) : -1;
    return n == (ssize_t)sizeof *a && a->magic == PURSE_MAGIC && a->version == TABLE_VERSION;
}

/* False: there is no answer, and the connection ends. What the broker grants all the same is idle.
 * One that hangs is left alone for a while; one that is gone has a successor. */
static bool ask(struct ballast_client *c, struct purse_question *q, struct purse_answer *a, int *fd)
{
    *fd = -1;
    errno = 0;
    if (say(c, q, 0) && hear(c, a, fd) && a->seq == q->seq)
        return true;
    bool timed_out = errno == EAGAIN;
    if (*fd != -1)
        close(*fd);
    *fd = -1;
    hang_up(c, timed_out ? HANGS_US : 0);
    return false;
}

/* ---- the lease ---- */

static uint32_t broker_pid(const struct ballast_client *c)
{
    return word_get(&c->table.slots[SLOT_BROKER_INDEX].pid);
}

/* What was in flight by another one is in no count any more. */
static void begin_lease(struct ballast_client *c)
{
    c->lease.number++;
    for (uint32_t i = 0; i < ENTRY_MAX; i++)
        c->rows[i].leased = 0;
}

/* What a broker that is dead has not read is told to its successor. */
static void tell_again(struct purse *from, struct purse *to)
{
    struct purse_record records[64];
    uint64_t tail = purse_read_so_far(from);
    for (uint32_t n; (n = purse_read(from, &tail, records, ARRAY_LEN(records))) != 0;)
        for (uint32_t i = 0; i < n; i++)
            (void)!purse_report(to, &records[i]);
}

/* Into a new purse for the same places. */
static void settle(struct ballast_client *c, struct purse *purse)
{
    uint32_t high = word_get(&c->table.header->entries_high);
    for (uint32_t i = 0; i < high && i < ENTRY_MAX; i++)
        if (c->rows[i].leased)
            purse_settle(purse, i, c->rows[i].leased);
    tell_again(c->lease.purse, purse);
}

static void move_in(struct ballast_client *c, struct purse *purse, const struct purse_answer *a)
{
    struct client_lease *l = &c->lease;
    if (!l->purse || l->row != a->row)
        begin_lease(c);
    else if (!a->settled)
        settle(c, purse);
    purse_unmap(l->purse);
    l->purse = purse;
    l->row = a->row;
}

static bool greet(struct ballast_client *c)
{
    struct client_lease *l = &c->lease;
    struct purse_answer a;
    int fd;
    if (!l->purse)
        l->id = client_random(c);
    l->broker = broker_pid(c); /* before it is asked: if it is replaced now, we shall notice */
    struct purse_question q = {.type = PURSE_HELLO, .row = l->row, .id = l->id};
    if (!ask(c, &q, &a, &fd))
        return false;
    struct purse *purse = fd != -1 && a.result == PURSE_GRANTED ? purse_map(fd) : NULL;
    if (fd != -1)
        close(fd);
    if (!purse)
        return false;
    move_in(c, purse, &a);
    q = (struct purse_question){.type = PURSE_SETTLED};
    return ask(c, &q, &a, &fd);
}

/* One that was killed has a successor, who does not know yet what of our places is idle. */
static bool is_replaced(const struct ballast_client *c)
{
    const struct slot *s = &c->table.slots[SLOT_BROKER_INDEX];
    return UNLIKELY(broker_pid(c) != c->lease.broker) && word_get(&s->state) == SLOT_READY;
}

/* Connected, and with a lease. */
static bool is_there(struct ballast_client *c)
{
    struct client_lease *l = &c->lease;
    if (UNLIKELY(l->fd != -1 && is_replaced(c)))
        hang_up(c, 0);
    if (LIKELY(l->fd != -1))
        return true;
    if (l->retry_us && clock_mono_us() < l->retry_us)
        return false;
    l->fd = dial(c);
    if (l->fd != -1 && greet(c))
        return true;
    if (l->retry_us == 0)
        hang_up(c, RETRY_US);
    return false;
}

/* The broker keeps what we had until it hears of us, or our process ends. */
void lease_leave(struct ballast_client *c)
{
    struct purse_question q = {.type = PURSE_BYE};
    if (c->lease.purse && is_there(c))
        (void)!say(c, &q, MSG_DONTWAIT);
    lease_forget(c);
}

void lease_forget(struct ballast_client *c)
{
    purse_unmap(c->lease.purse);
    if (c->lease.fd != -1)
        close(c->lease.fd);
    c->lease = (struct client_lease){.fd = -1, .row = INDEX_NONE, .number = c->lease.number};
}

/* ---- places ---- */

static enum lease_taken taken_of(const struct purse_answer *a)
{
    switch (a->result) {
    case PURSE_GRANTED: return LEASE_TAKEN;
    case PURSE_FULL: return LEASE_FULL;
    case PURSE_POOL_FULL: return LEASE_POOL_FULL;
    default: return LEASE_REFUSED;
    }
}

/* Asks for one, and for some more that will be needed soon. */
static enum lease_taken borrow(struct ballast_client *c, uint32_t entry, uint32_t incarnation,
                               bool probe, uint32_t *ticket)
{
    struct purse_question q = {.type = PURSE_TAKE,
                               .entry = entry,
                               .incarnation = incarnation,
                               .want = probe ? 1 : 1 + c->rows[entry].leased / GROW};
    struct purse_answer a;
    int fd;
    if (!is_there(c) || !ask(c, &q, &a, &fd))
        return LEASE_LOST;
    if (taken_of(&a) != LEASE_TAKEN)
        return taken_of(&a);
    *ticket = a.ticket;
    return purse_use(c->lease.purse, entry) ? LEASE_TAKEN : LEASE_REFUSED;
}

enum lease_taken lease_take(struct ballast_client *c, uint32_t entry, uint32_t incarnation,
                            bool probe, uint32_t *ticket)
{
    enum lease_taken taken = LEASE_TAKEN;
    *ticket = 0;
    if (c->lease.purse && is_replaced(c))
        (void)!is_there(c);
    if (probe || !c->lease.purse || !purse_use(c->lease.purse, entry)) {
        taken = borrow(c, entry, incarnation, probe, ticket);
        if (taken == LEASE_LOST) /* perhaps it was replaced since */
            taken = borrow(c, entry, incarnation, probe, ticket);
    }
    if (taken == LEASE_TAKEN)
        c->rows[entry].leased++;
    return taken;
}

/* What is idle others may need: of a backend that is nearly full it goes back at once. */
static bool is_short(const struct ballast_client *c, uint32_t entry)
{
    const struct entry *e = entry_at(&c->table, entry);
    uint32_t pool = word_get(&e->pool), limit = word_get(&e->max_connections);
    if (limit && entry_inflight(&c->table, entry) >= limit / 2)
        return true;
    limit = pool < POOL_MAX ? word_get(&pool_at(&c->table, pool)->max_connections) : 0;
    return limit && pool_inflight(&c->table, pool) >= limit / 2;
}

static void look(struct ballast_client *c, int flags)
{
    struct purse_question q = {.type = PURSE_LOOK};
    if (c->lease.fd != -1 && !say(c, &q, flags) && errno != EAGAIN)
        hang_up(c, 0);
}

/* The ring is full: the broker reads it before it answers. */
static void catch_up(struct ballast_client *c, const struct purse_record *record)
{
    struct purse_question q = {.type = PURSE_SETTLED};
    struct purse_answer a;
    int fd;
    look(c, 0);
    if (c->lease.fd != -1 && ask(c, &q, &a, &fd))
        (void)!purse_report(c->lease.purse, record);
}

void lease_done(struct ballast_client *c, const struct purse_record *record)
{
    struct purse *purse = c->lease.purse;
    if (!purse)
        return;
    bool urgent = record->outcome == PURSE_FAILURE || record->ticket;
    if (!purse_report(purse, record))
        catch_up(c, record);
    purse_done(purse, record->entry);
    if (c->rows[record->entry].leased)
        c->rows[record->entry].leased--;
    if (urgent || purse_is_filling(purse) || is_short(c, record->entry))
        look(c, MSG_DONTWAIT);
    if (is_replaced(c))
        (void)!is_there(c);
}
