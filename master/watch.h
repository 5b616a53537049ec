/*
 * master/watch.h: whether the processes move. Each of them beats its heart into its slot every half
 * second (proc/child.c); one that has not for a while - stopped, hanging, in an endless loop - is
 * reported, and after `watchdog` killed and replaced. Silence is counted in the master's own ticks:
 * when the master, or the whole machine, stood still as well, nobody is blamed for that time.
 */
#ifndef BALLAST_MASTER_WATCH_H
#define BALLAST_MASTER_WATCH_H

#include "master/state.h"

void watch_start(struct master *m);
void watch_stop(struct master *m);
/* A new process has this slot: its heart is still to begin. */
void watch_forget(struct process *p);

#endif
