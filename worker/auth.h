/*
 * worker/auth.h: who may ask (conf/auth.h). Networks are looked at before anything else is done;
 * passwords and tokens when it is known that a pool gets the request.
 *
 * A password costs milliseconds to check by design. So a thread of its own does it (checker.h), the
 * request waits, and what was right is remembered for a while; the worker's loop never waits.
 */
#ifndef BALLAST_WORKER_AUTH_H
#define BALLAST_WORKER_AUTH_H

#include "worker/types.h"

/* A step of txn_start.c, behind the route. */
bool step_auth(struct txn *t, const struct http1_head *h, const char *base);
/* May this client come here at all? For step_route. */
bool auth_network_allowed(const struct txn *t, const struct http1_head *h, const char *base);

/* worker/auth_basic.c, worker/auth_jwt.c, worker/auth_request.c: as a step. */
bool auth_request(struct txn *t, const struct http1_head *h, const char *base);
bool auth_basic(struct txn *t, const struct http1_head *h, const char *base);
bool auth_jwt(struct txn *t, const struct http1_head *h, const char *base);
/* The credentials behind a scheme in Authorization ("Basic x": "x"), or NULL. */
const char *auth_credentials(const struct http1_head *h, const char *base, const char *scheme,
                             uint32_t *len);

#endif
