/*
 * master/lifecycle.h: from forked to serving, and from draining to gone. The first start is all or
 * nothing: GO when everybody is ready, and the instance ends with status 1 if somebody cannot get
 * ready. Later ones serve as soon as they are ready.
 */
#ifndef BALLAST_MASTER_LIFECYCLE_H
#define BALLAST_MASTER_LIFECYCLE_H

#include "master/state.h"

void lifecycle_ready(struct process *p, const struct ctl_msg *msg);
void lifecycle_refused(struct process *p, const struct ctl_msg *msg);
void lifecycle_start_failed(struct process *p, const char *how);
void lifecycle_left(struct process *p); /* it drained and is gone */
/* A generation with other processes serves: starts what is missing; what is not wanted any more
 * gets no new connections, then drains. */
void lifecycle_resize(struct master *m);

#endif
