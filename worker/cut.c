/* worker/cut.c: see worker/cut.h. */
#include "worker/cut.h"

#include "worker/batch.h"
#include "worker/conn.h"
#include "worker/dispatch.h"
#include "worker/h2.h"
#include "worker/retry.h"
#include "worker/txn.h"
#include "worker/verdict.h"

#define CUT "backend cut off"

static void cut(struct conn *c)
{
    struct txn *t = c->txn;
    batch_settle(conn_fd(c));
    if (c->txn != t)
        return; /* what was in the batch ended it */
    verdict_none(t);
    t->end = CUT;
    if (t->state == TXN_TUNNEL)
        conn_close(c, CUT);
    else if (t->state == TXN_EXCHANGE && retry_begin(t, CONF_FAILURE_RESET))
        txn_retry(t, false);
    else
        txn_fail(t, 503, "The backend was taken out of service");
    conn_continue(c);
}

static void look_at(struct conn *c)
{
    const struct txn *t = c->state == CONN_CLOSED ? NULL : c->txn;
    const struct worker *w = c->worker;
    if (t && t->entry != INDEX_NONE && entry_is_cut(entry_at(w->table, t->entry), w->cuts_seen))
        cut(c);
}

void cut_look(struct worker *w)
{
    uint32_t cuts = word_get(&w->table->header->cuts);
    if (LIKELY(cuts == w->cuts_seen))
        return;
    for (struct conn *c = w->conns, *next; c; c = next) {
        next = c->next;
        if (c->state == CONN_H2)
            h2_each(c, look_at);
        else
            look_at(c);
        if (next && next->state == CONN_CLOSED)
            next = w->conns; /* it went with the other: from the start */
    }
    w->cuts_seen = cuts;
}
