/* Brotli (RFC 7932). Its encoder cannot begin anew: what a finished one gave back is kept for the
 * next. */
#include <brotli/encode.h>
#include <stdlib.h>
#include "worker/coder_int.h"

#define WINDOW_BITS 17
#define BLOCKS_KEPT 16u

/* By level. Beyond these one stream would take tens of megabytes. */
static const uint8_t qualities[] = {0, 1, 2, 3, 4, 5, 5, 5, 6, 6};

struct block {
    size_t bytes;
    _Alignas(16) char data[];
};

struct brotli {
    struct coder coder;
    BrotliEncoderState *state;
    struct block *kept[BLOCKS_KEPT];
};

static void *take_block(void *opaque, size_t bytes)
{
    struct brotli *b = opaque;
    for (unsigned i = 0; i < BLOCKS_KEPT; i++) {
        struct block *k = b->kept[i];
        if (!k || k->bytes < bytes || k->bytes / 2 > bytes)
            continue;
        b->kept[i] = NULL;
        return k->data;
    }
    struct block *k = malloc(sizeof *k + bytes);
    if (!k)
        return NULL;
    k->bytes = bytes;
    return k->data;
}

static void give_block(void *opaque, void *data)
{
    struct brotli *b = opaque;
    if (!data)
        return;
    struct block *k = CONTAINER_OF((char(*)[])data, struct block, data);
    for (unsigned i = 0; i < BLOCKS_KEPT; i++)
        if (!b->kept[i]) {
            b->kept[i] = k;
            return;
        }
    free(k);
}

static struct coder *make(uint32_t level UNUSED)
{
    struct brotli *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    return &b->coder;
}

static void end_state(struct brotli *b)
{
    if (b->state)
        BrotliEncoderDestroyInstance(b->state);
    b->state = NULL;
}

static void release(struct coder *c)
{
    struct brotli *b = CONTAINER_OF(c, struct brotli, coder);
    end_state(b);
    for (unsigned i = 0; i < BLOCKS_KEPT; i++)
        free(b->kept[i]);
    free(b);
}

static bool begin(struct coder *c, uint64_t size_bytes)
{
    struct brotli *b = CONTAINER_OF(c, struct brotli, coder);
    end_state(b);
    b->state = BrotliEncoderCreateInstance(take_block, give_block, b);
    if (!b->state)
        return false;
    uint32_t hint = size_bytes < UINT32_MAX ? (uint32_t)size_bytes : 0;
    return BrotliEncoderSetParameter(b->state, BROTLI_PARAM_QUALITY, qualities[b->coder.level]) &&
           BrotliEncoderSetParameter(b->state, BROTLI_PARAM_LGWIN, WINDOW_BITS) &&
           BrotliEncoderSetParameter(b->state, BROTLI_PARAM_SIZE_HINT, hint);
}

static enum coder_result step(struct coder *c, struct coder_io *io, enum coder_op op)
{
    static const BrotliEncoderOperation operations[] = {[CODER_RUN] = BROTLI_OPERATION_PROCESS,
                                                        [CODER_FLUSH] = BROTLI_OPERATION_FLUSH,
                                                        [CODER_END] = BROTLI_OPERATION_FINISH};
    struct brotli *b = CONTAINER_OF(c, struct brotli, coder);
    if (!BrotliEncoderCompressStream(b->state, operations[op], &io->in_len, &io->in, &io->out_room,
                                     &io->out, NULL))
        return CODER_FAILED;
    bool done = op == CODER_END ? BrotliEncoderIsFinished(b->state)
                                : io->in_len == 0 && !BrotliEncoderHasMoreOutput(b->state);
    return done ? CODER_DONE : CODER_FULL;
}

const struct coder_ops coder_brotli = {make, begin, step, release};
