/*
 * master/aside.h: a short-lived process beside the master's loop, watched until it ends, and killed
 * when its time is over.
 */
#ifndef BALLAST_MASTER_ASIDE_H
#define BALLAST_MASTER_ASIDE_H

#include <ev.h>
#include "master/reap.h"

struct aside {
    bool running;
    bool late; /* it was killed because its time was over */
    int pidfd;
    double limit_s;
    ev_io pid_io;
    ev_timer limit;
    void (*over)(struct aside *a, const struct reaped *how);
};

/* Takes pidfd. over() is called from the loop, once, when the process has ended. */
void aside_watch(struct aside *a, struct ev_loop *loop, int pidfd, double limit_s,
                 void (*over)(struct aside *a, const struct reaped *how));
void aside_kill(struct aside *a); /* over() follows */
/* Kills it; over() is not called any more. */
void aside_forget(struct aside *a, struct ev_loop *loop);

#endif
