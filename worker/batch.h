/*
 * worker/batch.h: what one turn of the event loop has to say leaves together. Whole small messages
 * (a request to a pooled backend connection, an answer that leaves the client connection open) and
 * small chunks of tunnels, under TLS sealed answers too, are kept until the loop is about to wait,
 * and then all of them go with one system call (io_uring): fewer entries into the kernel, and peers
 * that are woken once for many messages. Where io_uring is missing or forbidden, and for a single
 * message, they go by send(2).
 *
 * One batch per process. For a caller, what the batch took is sent. What the kernel then refuses is
 * found at the end of the turn: a client that does not read gets the rest later (worker/tail.h); a
 * backend connection is shut, and its requests are such as may be sent again; a tunnel is told. A
 * broken connection tells its owner by its descriptor, as ever.
 *
 * Whoever does anything else with a descriptor (send, splice, shutdown, close, hand over) calls
 * batch_settle first.
 */
#ifndef BALLAST_WORKER_BATCH_H
#define BALLAST_WORKER_BATCH_H

#include "worker/types.h"

#define BATCH_MESSAGE_BYTES 4096u

/* Begins, or ends, to take messages; says nothing when the kernel does not offer io_uring. True: it
 * takes them. */
bool batch_use(struct ev_loop *loop, bool wanted);
/* True: all bytes of the two runs (either may be NULL) were taken, and consumed. */
bool batch_conn(struct conn *c, struct buf *first, struct buf *second, uint32_t second_ready);
bool batch_upstream(struct upstream *u, struct buf *first, struct buf *second,
                    uint32_t second_ready);
/* The same for a tunnel, which hears of the result in any case: tunnel_released(). */
bool batch_tunnel(struct txn *t, int fd, bool to_client, struct buf *b);

/* The same for bytes that the caller makes: room for BATCH_MESSAGE_BYTES, or NULL; then, before
 * anything else happens, how many came to be there. */
char *batch_place(int fd) MUST_CHECK;
void batch_placed(struct conn *c, uint32_t len);

/* Receives into each buffer, which is empty, what its descriptor has: found by buf_recv. False:
 * nothing was received. */
struct batch_receipt {
    int fd;
    struct buf *into;
};
bool batch_receive(const struct batch_receipt *receipts, uint32_t count) MUST_CHECK;

extern uint32_t batch_waiting; /* messages; for batch_settle alone */
void batch_flush(void);
bool batch_holds(int fd);

/* What waits for this descriptor leaves now. */
static inline void batch_settle(int fd)
{
    if (__builtin_expect(batch_waiting > 0, 0) && batch_holds(fd))
        batch_flush();
}

#endif
