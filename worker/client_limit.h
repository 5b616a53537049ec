/* worker/client_limit.h: limits.connections_per_client: how many connections one client may have.
 */
#ifndef BALLAST_WORKER_CLIENT_LIMIT_H
#define BALLAST_WORKER_CLIENT_LIMIT_H

#include "worker/types.h"

/* The connection's client is known: counts it, or says no (in the metrics, and the first time in an
 * event). The place is given back when the connection ends. */
bool client_limit_admit(struct conn *c, const struct conf_listener *listener) MUST_CHECK;

/* It was admitted by another worker, which counts it until it knows that we do. */
void client_limit_take_over(struct conn *c);

#endif
