/* worker/compress_reply.c: the balancer's own replies, in one go. */
#include <string.h>
#include "conf/route.h"
#include "worker/account.h"
#include "worker/coder.h"
#include "worker/compress.h"
#include "worker/reply.h"

/* False: it does not fit into out, or failed. */
static bool encode(struct compressor *z, const struct reply *r, struct buf *out)
{
    struct coder_io io = {(const uint8_t *)r->body, r->body_len, (uint8_t *)out->data,
                          buf_room(out)};
    if (coder_step(z->coder, &io, CODER_END) != CODER_DONE)
        return false;
    out->start = 0;
    out->end = (uint32_t)(io.out - (uint8_t *)out->data);
    return true;
}

unsigned compress_reply(struct txn *t, const struct reply *r, struct buf **body)
{
    const struct conf_compression *c = t->route->compress;
    struct buf_pool *bufs = &t->worker->bufs;
    if (!r->content_type || r->body_len < c->min_bytes ||
        !compress_fits_type(c, r->content_type, (uint32_t)strlen(r->content_type)))
        return 0;
    if (t->coding == CODING_NONE || !(*body = buf_get(bufs, true)))
        return COMPRESS_VARY;
    t->compressor = compress_begin(t, r->body_len);
    bool good = t->compressor && encode(t->compressor, r, *body);
    if (t->compressor)
        compress_end(t);
    if (good) {
        account_compressed(t, r->body_len, buf_len(*body));
        return COMPRESS_VARY | COMPRESS_ENCODED;
    }
    buf_put(bufs, *body);
    *body = NULL;
    return COMPRESS_VARY;
}
