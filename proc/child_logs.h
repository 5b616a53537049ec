/*
 * proc/child_logs.h: the access logs that the master opened for this process. It sends them over
 * the control channel at the start, for a generation that names new ones, and after log files were
 * reopened. A sink is known by its number (conf_access_log.sink).
 */
#ifndef BALLAST_PROC_CHILD_LOGS_H
#define BALLAST_PROC_CHILD_LOGS_H

#include "proc/control.h"
#include "proc/role.h"

/* LOGS: the descriptors replace those of the same numbers; without descriptors: these are closed.
 */
void child_logs_take(const struct ctl_msg *m, const int *fds);

#endif
