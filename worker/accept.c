/*
 * worker/accept.c: ACCEPT: sockets that this worker listens on. A place under max_connections is
 * reserved (exactly, over all workers) before the connection is taken; without a place, or without
 * descriptors, clients wait in the kernel's queue.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/log.h"
#include "worker/conn.h"
#include "worker/udp.h"
#include "worker/worker_int.h"

#define ACCEPT_BATCH 16u
#define DRAIN_MAX    4096u /* the longest queue a listening socket is given */

/* The system gives no more. It is said once a second, however often it is tried. */
static void starve(struct worker *w, int error)
{
    if (w->now_us - w->starved_us >= 1000000u) {
        log_warning("cannot accept: %s; clients wait in the queue", strerror(error));
        w->starved_us = w->now_us;
    }
    accept_pause(w);
}

/* A place in the instance and in the listener; without one clients wait in the kernel's queue. At
 * the listener's own limit the others go on being accepted. */
static bool reserve_place(struct worker *w, struct acceptor *a)
{
    if (!slot_client_reserve(w->table, w->slot)) {
        count_add(&worker_lcell(w, a->listener_row)->refused, 1);
        accept_pause(w);
        return false;
    }
    if (listener_client_reserve(w->table, a->listener_row, w->slot))
        return true;
    slot_client_release(w->table, w->slot);
    count_add(&worker_lcell(w, a->listener_row)->refused, 1);
    ev_io_stop(w->loop, &a->io);
    ev_timer_again(w->loop, &w->pause);
    return false;
}

/* Takes one connection. False: the queue is empty, or must wait. */
static bool take_one(struct worker *w, struct acceptor *a)
{
    if (!reserve_place(w, a))
        return false;
    struct net_addr from;
    from.len_bytes = sizeof from.u;
    from.u.sa.sa_family = AF_UNIX;
    int fd = accept4(a->io.fd, &from.u.sa, &from.len_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd != -1) {
        conn_open(w, fd, a, &from);
        return true;
    }
    int error = errno;
    listener_client_release(w->table, a->listener_row, w->slot);
    slot_client_release(w->table, w->slot);
    if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM)
        starve(w, error);
    return error == ECONNABORTED || error == EINTR;
}

static void on_accept(struct ev_loop *loop, struct ev_io *io, int revents)
{
    (void)loop, (void)revents;
    struct acceptor *a = CONTAINER_OF(io, struct acceptor, io);
    MAGIC_CHECK(a, ACCEPTOR_MAGIC);
    struct worker *w = a->worker;
    for (uint32_t i = 0; i < ACCEPT_BATCH; i++)
        if (!take_one(w, a))
            return;
}

void accept_start(struct worker *w)
{
    for (struct acceptor *a = w->acceptors; a; a = a->next)
        ev_io_start(w->loop, &a->io);
}

void accept_stop(struct worker *w)
{
    ev_timer_stop(w->loop, &w->pause);
    for (struct acceptor *a = w->acceptors; a; a = a->next)
        ev_io_stop(w->loop, &a->io);
}

/* What the kernel has already taken for us is ours: closing the socket would reset it. */
static void take_queued(struct worker *w, struct acceptor *a)
{
    for (uint32_t i = 0; i < DRAIN_MAX && !a->datagram && take_one(w, a); i++)
        ;
}

void accept_drain(struct worker *w)
{
    for (struct acceptor *a = w->acceptors; a; a = a->next)
        take_queued(w, a);
    accept_stop(w);
    for (struct acceptor *a = w->acceptors; a; a = a->next)
        if (a->datagram)
            udp_leave(a);
}

/* Sessions that there are go on. */
void accept_pause(struct worker *w)
{
    for (struct acceptor *a = w->acceptors; a; a = a->next)
        if (!a->datagram)
            ev_io_stop(w->loop, &a->io);
    ev_timer_again(w->loop, &w->pause);
}

static struct acceptor *find(struct worker *w, uint32_t bind_id)
{
    struct acceptor *a = w->acceptors;
    while (a && a->bind_id != bind_id)
        a = a->next;
    return a;
}

static int add(struct worker *w, uint32_t listener_row, uint32_t bind_id)
{
    bool datagram = w->gen->by_row[listener_row]->protocol == CONF_UDP;
    if (datagram && udp_prepare(w) == -1)
        return -1;
    struct acceptor *a = calloc(1, sizeof *a);
    if (!a)
        return -1;
    a->datagram = datagram;
    MAGIC_SET(a, ACCEPTOR_MAGIC);
    a->worker = w;
    a->bind_id = bind_id;
    a->listener_row = listener_row;
    if (datagram)
        udp_merge(child_listen_fd(w->child, bind_id));
    ev_io_init(&a->io, datagram ? udp_on_readable : on_accept, child_listen_fd(w->child, bind_id),
               EV_READ);
    a->next = w->acceptors;
    w->acceptors = a;
    return 0;
}

void accept_queue(struct worker *w, uint32_t bind_id, int fd)
{
    const struct conf_listener *l = conf_listener_of_bind(w->gen->conf, bind_id);
    struct acceptor once = {.worker = w, .bind_id = bind_id};
    MAGIC_SET(&once, ACCEPTOR_MAGIC);
    if (!l || w->draining)
        return;
    once.listener_row = l->row;
    once.io.fd = fd;
    take_queued(w, &once);
}

void accept_drain_removed(struct worker *w, const struct conf *next)
{
    for (struct acceptor *a = w->acceptors; a; a = a->next)
        if (!conf_listener_of_bind(next, a->bind_id))
            take_queued(w, a);
}

static void remove_unnamed(struct worker *w)
{
    for (struct acceptor **at = &w->acceptors; *at;) {
        struct acceptor *a = *at;
        const struct conf_listener *l = conf_listener_of_bind(w->gen->conf, a->bind_id);
        if (l) {
            a->listener_row = l->row;
            at = &a->next;
            continue;
        }
        ev_io_stop(w->loop, &a->io);
        if (a->datagram)
            udp_forget(w, a);
        *at = a->next;
        free(a);
    }
}

int accept_sync(struct worker *w)
{
    const struct conf *conf = w->gen->conf;
    remove_unnamed(w);
    for (uint32_t i = 0; i < conf->listener_count; i++)
        for (uint32_t b = 0; b < conf->listeners[i].bind_count; b++) {
            uint32_t id = conf->listeners[i].binds[b].id;
            if (!find(w, id) && add(w, conf->listeners[i].row, id) == -1)
                return -1;
        }
    return 0;
}
