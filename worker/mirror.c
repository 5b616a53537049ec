#include "worker/mirror.h"

#include "conf/route.h"
#include "worker/side.h"

#define MIRROR_MS 10000u /* without a byte of the request */

/* It has its answer, or cannot have one. */
static void gone(void *data, const struct http1_head *h UNUSED, const char *base UNUSED)
{
    struct txn *t = data;
    t->mirror = NULL;
}

static struct buf *copy_of(struct txn *t)
{
    uint32_t head = buf_len(t->up_head), len = head + t->req_ready;
    struct buf *copy = buf_get(&t->worker->bufs, len > BUF_SMALL_BYTES / 2);
    if (!copy || buf_room(copy) < len) {
        buf_put(&t->worker->bufs, copy);
        return NULL;
    }
    buf_append(copy, buf_at(t->up_head), head);
    if (t->req_ready)
        buf_append(copy, buf_at(t->conn->in), t->req_ready);
    return copy;
}

void mirror_copy(struct txn *t)
{
    struct buf *copy = t->req_upgrade ? NULL : copy_of(t);
    if (!copy)
        return;
    t->mirror = side_start(t->worker, t->gen, &t->gen->pools[t->route->mirror], copy, MIRROR_MS,
                           t->req_done ? NULL : gone, t);
    if (t->req_done)
        t->mirror = NULL;
}

void mirror_more(struct txn *t, uint32_t had)
{
    uint32_t more = t->req_ready - had;
    if (more && !side_append(t->mirror, buf_at(t->conn->in) + had, more)) {
        mirror_end(t);
    } else if (t->req_done) {
        side_leave(t->mirror);
        t->mirror = NULL;
    }
}

void mirror_end(struct txn *t)
{
    side_cancel(t->mirror);
    t->mirror = NULL;
}
