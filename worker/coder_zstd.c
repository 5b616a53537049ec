/* Zstandard (RFC 8878), within the window that RFC 9659 lets a client expect. */
#include <stdlib.h>
#include <zstd.h>
#include "worker/coder_int.h"

#define WINDOW_LOG 17
#define TABLE_LOG  15 /* bounds the memory of levels above 2 */

struct zstd {
    struct coder coder;
    ZSTD_CCtx *ctx;
};

static bool set(ZSTD_CCtx *ctx, ZSTD_cParameter name, int value)
{
    return !ZSTD_isError(ZSTD_CCtx_setParameter(ctx, name, value));
}

static struct coder *make(uint32_t level)
{
    struct zstd *z = calloc(1, sizeof *z);
    if (!z || !(z->ctx = ZSTD_createCCtx())) {
        free(z);
        return NULL;
    }
    if (set(z->ctx, ZSTD_c_compressionLevel, (int)level) &&
        set(z->ctx, ZSTD_c_windowLog, WINDOW_LOG) && set(z->ctx, ZSTD_c_hashLog, TABLE_LOG) &&
        set(z->ctx, ZSTD_c_chainLog, TABLE_LOG))
        return &z->coder;
    ZSTD_freeCCtx(z->ctx);
    free(z);
    return NULL;
}

static void release(struct coder *c)
{
    struct zstd *z = CONTAINER_OF(c, struct zstd, coder);
    ZSTD_freeCCtx(z->ctx);
    free(z);
}

static bool begin(struct coder *c, uint64_t size_bytes)
{
    struct zstd *z = CONTAINER_OF(c, struct zstd, coder);
    unsigned long long size =
        size_bytes == CODER_SIZE_UNKNOWN ? ZSTD_CONTENTSIZE_UNKNOWN : size_bytes;
    return !ZSTD_isError(ZSTD_CCtx_reset(z->ctx, ZSTD_reset_session_only)) &&
           !ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(z->ctx, size));
}

static enum coder_result step(struct coder *c, struct coder_io *io, enum coder_op op)
{
    static const ZSTD_EndDirective ends[] = {
        [CODER_RUN] = ZSTD_e_continue, [CODER_FLUSH] = ZSTD_e_flush, [CODER_END] = ZSTD_e_end};
    struct zstd *z = CONTAINER_OF(c, struct zstd, coder);
    ZSTD_inBuffer in = {io->in, io->in_len, 0};
    ZSTD_outBuffer out = {io->out, io->out_room, 0};
    size_t left = ZSTD_compressStream2(z->ctx, &out, &in, ends[op]);
    if (ZSTD_isError(left))
        return CODER_FAILED;
    io->in += in.pos;
    io->in_len -= in.pos;
    io->out += out.pos;
    io->out_room -= out.pos;
    bool done = op == CODER_RUN ? io->in_len == 0 : left == 0;
    return done ? CODER_DONE : CODER_FULL;
}

const struct coder_ops coder_zstd = {make, begin, step, release};
