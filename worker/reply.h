/* worker/reply.h: the balancer's own answers: JSON {"error": "..."}, or HTML for those who ask for
 * it. */
#ifndef BALLAST_WORKER_REPLY_H
#define BALLAST_WORKER_REPLY_H

#include "worker/types.h"

/* Puts the answer in t->head_out and begins to send it. text: static, no characters that need
 * escaping. Nothing was sent before. */
void reply_error(struct txn *t, unsigned status, const char *text);

#endif
