/*
 * proc/outbox.h: messages for one control channel, sent in order without ever blocking: what the
 * socket does not take now waits here, with its own copies of the descriptors, and goes out when
 * the socket is writable. Both ends use one (the master per child, a child for itself).
 */
#ifndef BALLAST_PROC_OUTBOX_H
#define BALLAST_PROC_OUTBOX_H

#include <ev.h>
#include "proc/control.h"

struct outbox_item;
struct outbox {
    uint32_t magic;
    struct ev_loop *loop;
    ev_io writable;
    struct outbox_item *first, *last;
};

void outbox_init(struct outbox *o, struct ev_loop *loop, int fd);
/* Sends or queues. fds are copied, never taken. -1 with errno: the channel is dead or no memory. */
int outbox_send(struct outbox *o, const struct ctl_msg *m, const int *fds) MUST_CHECK;
/* Drops what waits and stops watching; the descriptor stays the caller's. */
void outbox_close(struct outbox *o);

#endif
