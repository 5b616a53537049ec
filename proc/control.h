/*
 * proc/control.h: the control channel: one SEQPACKET socketpair per child, messages with at most
 * CTL_FDS descriptors. What a child may say, and in which state, is a table in master/; anything
 * else from a child is gossip and is logged and dropped.
 *
 *   master -> child   OFFER(generation, bundle fd) LISTEN(bind id, fd)* OFFER_END  GO  ABORT
 * QUEUE(bind id, fd)* (of a dead sibling: take what waits there) DRAIN(deadline ms)  STOP
 * HANDOVER(fd) (it will leave: connections may go through this channel) HEIR(fd) (they come from
 * it) REOPEN(log fd) RELOADED(0 ok | 1 refused, text or memfd with the changes or errors as JSON)
 * child
 * -> master   READY(generation)  REFUSED(generation, why) RELEASED(generation)  RELOAD, CHANGED
 * (admin: the API changed something in the table)
 *
 * End of file on either side means the other is dead: a child that loses its master drains and
 * leaves.
 */
#ifndef BALLAST_PROC_CONTROL_H
#define BALLAST_PROC_CONTROL_H

#include <sys/types.h>
#include "base/base.h"

#define SIGNALS_UPGRADE 0x0B60ADEDu /* with USR2, by sigqueue(3): upgrade instead of reload */

/* The new program of an upgrade says this when it checks the file with this in its environment:
 * that it can take over, and that it can be rehearsed. */
#define UPGRADE_TEST_ENV  "BALLAST_UPGRADE_TEST"
#define UPGRADE_SPOKEN    "ballast-upgrade 1"
#define UPGRADE_REHEARSES "ballast-rehearses 1"

#define CTL_TEXT 1024
#define CTL_FDS  16

enum ctl_type {
    CTL_READY = 1,
    CTL_REFUSED,
    CTL_RELEASED,
    CTL_RELOAD,
    CTL_OFFER,
    CTL_LISTEN,
    CTL_OFFER_END,
    CTL_GO,
    CTL_ABORT,
    CTL_DRAIN,
    CTL_STOP,
    CTL_REOPEN,
    CTL_RELOADED,
    CTL_CHANGED,
    CTL_RELOADS,
    CTL_UPGRADE,
    CTL_LOGS,
    CTL_QUEUE,
    CTL_HANDOVER,
    CTL_HEIR
};

struct ctl_msg {
    uint32_t type;
    uint32_t generation;
    uint32_t number; /* by type: deadline in ms, result, ... */
    uint32_t fd_count;
    uint32_t ids[CTL_FDS]; /* bind ids of LISTEN's descriptors, sinks of LOGS' */
    uint64_t address;      /* OFFER: where the bundle is mapped */
    uint64_t len_bytes;
    uint64_t root; /* OFFER: address of struct conf */
    char text[CTL_TEXT];
};

int ctl_pair(int fds[2]) MUST_CHECK;
/* Sends one message. 0, or -1 with errno (EAGAIN: the peer's queue is full). */
int ctl_send(int fd, const struct ctl_msg *m, const int *fds) MUST_CHECK;
/* 1: one message, its descriptors in fds[CTL_FDS] (owned by the caller); 0: end of file; -1: errno
 * (EAGAIN: none). */
int ctl_recv(int fd, struct ctl_msg *m, int *fds) MUST_CHECK;
/* A record of the caller's own format, for a channel between two others. ctl_send_parts: as
 * ctl_send.
 */
struct iovec;
int ctl_send_parts(int fd, struct iovec *parts, size_t count, const int *fds,
                   uint32_t fd_count) MUST_CHECK;
/* The length of a record (its descriptors, owned by the caller, in fds[CTL_FDS]; none of them when
 * not all could be taken), 0 at end of file, -1 with errno (EBADMSG: longer than cap). */
ssize_t ctl_recv_bytes(int fd, void *into, size_t cap, int *fds, uint32_t *fd_count) MUST_CHECK;
/* Closes the descriptors of a received message that nobody wants. */
void ctl_close_fds(const int *fds, uint32_t count);
const char *ctl_type_name(uint32_t type);

#endif
