/*
 * worker/coder.h: one compressing stream over zlib, Brotli or Zstandard. Its memory is bounded by
 * its coding: gzip 260 KiB, zstd 1.2 MiB, br 1.2 MiB up to level 4 and 4 MiB above. It is kept from
 * one answer to the next.
 */
#ifndef BALLAST_WORKER_CODER_H
#define BALLAST_WORKER_CODER_H

#include "conf/compress.h"

struct coder;

enum coder_op {
    CODER_RUN,   /* takes input; output when there is enough */
    CODER_FLUSH, /* all that was taken can be decoded from what comes out */
    CODER_END
};
enum coder_result {
    CODER_DONE, /* all input is taken, and what the operation means has come out */
    CODER_FULL, /* no room is left: again with the same operation */
    CODER_FAILED
};

struct coder_io {
    const uint8_t *in;
    size_t in_len;
    uint8_t *out;
    size_t out_room;
};

#define CODER_SIZE_UNKNOWN UINT64_MAX

/* NULL: no memory. */
struct coder *coder_new(enum conf_coding coding, uint32_t level) MUST_CHECK;
void coder_free(struct coder *c);
bool coder_fits(const struct coder *c, enum conf_coding coding, uint32_t level);
/* Begins a stream; size_bytes: of all its input. False: no memory. */
bool coder_begin(struct coder *c, uint64_t size_bytes) MUST_CHECK;
/* Advances io by what was taken and made. */
enum coder_result coder_step(struct coder *c, struct coder_io *io, enum coder_op op) MUST_CHECK;

#endif
