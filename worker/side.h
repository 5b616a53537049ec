/*
 * worker/side.h: requests of the balancer's own, beside the one they belong to: "may this client?"
 * (auth_request.c) and copies for another pool (mirror.c). One connection each, HTTP/1.1, with the
 * pool's TLS and a PROXY header that names nobody where it has them, closed behind the answer's
 * head. A place at the backend is reserved as for any request. Bounded in number and time; nothing
 * waits for a copy.
 */
#ifndef BALLAST_WORKER_SIDE_H
#define BALLAST_WORKER_SIDE_H

#include "worker/types.h"

struct side;
size_t side_bytes(void); /* of one, for the slab */
/* The answer's head, or NULL: there was none. Called once, unless the request was cancelled. */
typedef void side_done(void *data, const struct http1_head *h, const char *base);

/* Sends what is in out, which it takes over. NULL: no backend, no memory or too many; out is gone
 * all the same. done may be NULL. */
struct side *side_start(struct worker *w, struct gen *g, struct pool_rt *pool, struct buf *out,
                        uint32_t timeout_ms, side_done *done, void *data);
/* More of its body. False: more waits to be sent than it may keep. */
bool side_append(struct side *s, const char *bytes, uint32_t len) MUST_CHECK;
/* Nobody waits for it any longer: it goes on alone. */
void side_leave(struct side *s);
void side_cancel(struct side *s);

/* From the TLS under it (worker/tls.c): hands were shaken, or could not be. */
void side_ready(struct side *s);
void side_failed(struct side *s);

#endif
