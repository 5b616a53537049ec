/*
 * master/notify.h: sd_notify(3) without its library: one datagram per state. Nothing happens
 * without $NOTIFY_SOCKET.
 */
#ifndef BALLAST_MASTER_NOTIFY_H
#define BALLAST_MASTER_NOTIFY_H

#include "master/state.h"

void notify_init(struct master *m);  /* and the watchdog's timer, when $WATCHDOG_USEC asks for it */
void notify_ready(struct master *m); /* after the start, and after a reload whatever its outcome */
/* What the STATUS line says besides: why the last reload was refused; "": nothing. */
void notify_outcome(struct master *m, const char *text);
void notify_reloading(
    struct master *m); /* with MONOTONIC_USEC in the same datagram, as notify-reload wants it */
void notify_stopping(struct master *m);
void notify_close(struct master *m);

#endif
