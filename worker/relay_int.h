/* worker/relay_int.h: what the files of a response's way share. */
#ifndef BALLAST_WORKER_RELAY_INT_H
#define BALLAST_WORKER_RELAY_INT_H

#include "worker/relay.h"

#define CHUNK_HEAD_BYTES 16u /* room kept before the payload of a chunk that we make */

/* Bytes in t->rbuf that were not looked at yet: behind those that are ready. */
static inline char *relay_raw_at(struct txn *t)
{
    return buf_at(t->rbuf) + t->res_ready;
}
static inline uint32_t relay_raw_len(const struct txn *t)
{
    return t->rbuf ? buf_len(t->rbuf) - t->res_ready : 0;
}
/* Looks at the bytes of the body that came: what is valid is ready. False: malformed. */
bool relay_take_body(struct txn *t) MUST_CHECK;

#endif
