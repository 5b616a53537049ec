/* worker/worker.h: the worker role (the data path). See worker/conn.h for how a request flows. */
#ifndef BALLAST_WORKER_WORKER_H
#define BALLAST_WORKER_WORKER_H
#include "proc/role.h"
extern const struct role worker_role;
#endif
