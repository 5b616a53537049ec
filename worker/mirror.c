#include "worker/mirror.h"

#include "conf/route.h"
#include "worker/side.h"

#define MIRROR_MS 10000u

void mirror_copy(struct txn *t)
{
    struct buf *from = t->up_head;
    uint32_t len = buf_len(from);
    if (!t->req_done || !t->req_replayable || t->req_upgrade || t->req_ready)
        return;
    struct buf *copy = buf_get(&t->worker->bufs, len > BUF_SMALL_BYTES);
    if (!copy || buf_room(copy) < len) {
        buf_put(&t->worker->bufs, copy);
        return;
    }
    buf_append(copy, buf_at(from), len);
    (void)side_start(t->worker, t->gen, &t->gen->pools[t->route->mirror], copy, MIRROR_MS, NULL,
                     NULL);
}
