#include "worker/coder_int.h"

static const struct coder_ops *const rows[CODING_COUNT] = {
    [CODING_GZIP] = &coder_gzip, [CODING_BROTLI] = &coder_brotli, [CODING_ZSTD] = &coder_zstd};

struct coder *coder_new(enum conf_coding coding, uint32_t level)
{
    struct coder *c = rows[coding]->make(level);
    if (c)
        *c = (struct coder){(uint8_t)coding, level};
    return c;
}

void coder_free(struct coder *c)
{
    rows[c->coding]->free(c);
}

bool coder_fits(const struct coder *c, enum conf_coding coding, uint32_t level)
{
    return c->coding == coding && c->level == level;
}

bool coder_begin(struct coder *c, uint64_t size_bytes)
{
    return rows[c->coding]->begin(c, size_bytes);
}

enum coder_result coder_step(struct coder *c, struct coder_io *io, enum coder_op op)
{
    return rows[c->coding]->step(c, io, op);
}
