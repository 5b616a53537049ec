/*
 * worker/compress.h: COMPRESS: answers of backends in a coding that the client takes. Between the
 * validated payload in txn.rbuf, which is what the backend sent, and what conn_send gets: whoever
 * stands before it sees the identity form.
 *
 * compress_request() notes what the client takes while the request's head is there;
 * compress_response() decides about an answer (compress_head.c) and may give the txn a compressor:
 * its memory is bounded, so is the number of them in a worker (who gets none is answered in
 * identity form), and they are kept from one answer to the next. A step takes what one read of the
 * backend brought. Input that stops coming is flushed.
 */
#ifndef BALLAST_WORKER_COMPRESS_H
#define BALLAST_WORKER_COMPRESS_H

#include "worker/types.h"

#define COMPRESS_FIELDS_BYTES 128u /* what is added to a head at most */

/* What txn.recoded says of an answer's head. */
enum compress_head {
    COMPRESS_VARY = 1,    /* Vary gets Accept-Encoding */
    COMPRESS_ENCODED = 2, /* the body goes out in txn.coding */
    COMPRESS_WEAK = 4,    /* a strong ETag becomes a weak one */
};

void compress_request(struct txn *t, const struct http1_head *h, const char *base);
/* Once, before the head is written. */
void compress_response(struct txn *t, const struct http1_head *h);
/* Is the field of the answer left out, or written anew? */
bool compress_drops(const struct txn *t, const struct http1_header *f, const char *base);
void compress_append(const struct txn *t, struct buf *out, const struct http1_head *h,
                     const char *base);

/* A reply of our own, whole: 0: it is not of those that are compressed; else COMPRESS_VARY, and
 * with COMPRESS_ENCODED *body has it in t->coding: the caller's. */
struct reply;
unsigned compress_reply(struct txn *t, const struct reply *r, struct buf **body) MUST_CHECK;
bool compress_fits_type(const struct conf_compression *c, const char *type, uint32_t len);

/* ---- the body: compress.c ---- */

struct coder;

struct compressor {
    struct coder *coder;
    struct txn *txn;
    struct buf *out;      /* whole chunks, to be sent before more is made */
    struct buf *trailers; /* lines, for behind the last chunk; NULL: none */
    struct ev_timer idle;
    uint64_t taken_us, held_us; /* input was last taken; since when some is held */
    bool held;                  /* something was taken that may not have come out */
    bool flush;                 /* nothing came for a while: it is to come out */
    bool ended;                 /* the last chunk is in out */
    bool remembered;            /* what is made is kept beside the stored body */
    struct compressor *next;
};

/* NULL: no memory, or too many at work. size_bytes: of the answer, CODER_SIZE_UNKNOWN. */
struct compressor *compress_begin(struct txn *t, uint64_t size_bytes) MUST_CHECK;
/* Forgets what has not been sent. */
void compress_end(struct txn *t);
/* Makes more from what is ready in t->rbuf; out is empty. False: it failed. Nothing in out
 * afterwards: there is nothing to be sent now. */
bool compress_fill(struct txn *t) MUST_CHECK;
/* Lines of trailers, as the backend sent them. */
void compress_trailers(struct txn *t, const char *lines, uint32_t len);

static inline uint32_t compress_waiting(const struct compressor *z)
{
    return z && z->out ? buf_len(z->out) : 0;
}

#endif
