/*
 * worker/route.h: ROUTE: which route a request takes, and what it does: answers (redirect,
 * respond), or chooses the pool and writes the target that the backend gets.
 */
#ifndef BALLAST_WORKER_ROUTE_H
#define BALLAST_WORKER_ROUTE_H

#include "worker/types.h"

/* A step of txn_start.c. Sets t->route, t->pool and, where the path changes, t->target. */
bool step_route(struct txn *t, const struct http1_head *h, const char *base);

#endif
