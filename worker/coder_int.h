/* worker/coder_int.h: one row per coding. */
#ifndef BALLAST_WORKER_CODER_INT_H
#define BALLAST_WORKER_CODER_INT_H

#include "worker/coder.h"

struct coder_ops {
    struct coder *(*make)(uint32_t level); /* NULL: no memory */
    bool (*begin)(struct coder *c, uint64_t size_bytes);
    enum coder_result (*step)(struct coder *c, struct coder_io *io, enum coder_op op);
    void (*free)(struct coder *c);
};

/* The first member of what `make` returns. */
struct coder {
    uint8_t coding; /* enum conf_coding */
    uint32_t level;
};

extern const struct coder_ops coder_gzip, coder_brotli, coder_zstd;

#endif
