/* gzip (RFC 1952) by zlib. */
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>
#include "worker/coder_int.h"

#define WINDOW_BITS (15 + 16) /* 32 KiB, with the header of gzip */
#define MEMORY      8

struct gzip {
    struct coder coder;
    z_stream z;
};

static struct coder *make(uint32_t level)
{
    struct gzip *g = calloc(1, sizeof *g);
    if (g && deflateInit2(&g->z, (int)level, Z_DEFLATED, WINDOW_BITS, MEMORY, Z_DEFAULT_STRATEGY) ==
                 Z_OK)
        return &g->coder;
    free(g);
    return NULL;
}

static void release(struct coder *c)
{
    struct gzip *g = CONTAINER_OF(c, struct gzip, coder);
    (void)deflateEnd(&g->z);
    free(g);
}

static bool begin(struct coder *c, uint64_t size_bytes UNUSED)
{
    struct gzip *g = CONTAINER_OF(c, struct gzip, coder);
    return deflateReset(&g->z) == Z_OK;
}

static enum coder_result step(struct coder *c, struct coder_io *io, enum coder_op op)
{
    static const int flushes[] = {
        [CODER_RUN] = Z_NO_FLUSH, [CODER_FLUSH] = Z_SYNC_FLUSH, [CODER_END] = Z_FINISH};
    struct gzip *g = CONTAINER_OF(c, struct gzip, coder);
    g->z.next_in = io->in;
    g->z.avail_in = (uInt)io->in_len;
    g->z.next_out = io->out;
    g->z.avail_out = (uInt)io->out_room;
    int r = deflate(&g->z, flushes[op]);
    io->in = g->z.next_in;
    io->in_len = g->z.avail_in;
    io->out = g->z.next_out;
    io->out_room = g->z.avail_out;
    if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
        return CODER_FAILED;
    bool done = op == CODER_END ? r == Z_STREAM_END : g->z.avail_out > 0;
    return done ? CODER_DONE : CODER_FULL;
}

const struct coder_ops coder_gzip = {make, begin, step, release};
