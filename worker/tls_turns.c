/* worker/tls_turns.c: see the header. */
#include "worker/tls_turns.h"

#define STEPS_PER_LOOP 4u

static void append(struct tls_turns *q, struct tls *t)
{
    t->waits = true;
    t->wait_next = NULL;
    t->wait_prev = q->last;
    if (q->last)
        q->last->wait_next = t;
    else
        q->first = t;
    q->last = t;
}

static void take_out(struct tls_turns *q, struct tls *t)
{
    t->waits = false;
    if (t->wait_prev)
        t->wait_prev->wait_next = t->wait_next;
    else
        q->first = t->wait_next;
    if (t->wait_next)
        t->wait_next->wait_prev = t->wait_prev;
    else
        q->last = t->wait_prev;
}

void tls_turns_begin(struct worker *w)
{
    struct tls_turns *q = &w->tls_turns;
    for (q->steps = 0; q->first && q->steps < STEPS_PER_LOOP; q->steps++) {
        struct tls *t = q->first;
        take_out(q, t);
        t->its_turn = true;
    }
}

bool tls_turns_take(struct tls *t)
{
    struct tls_turns *q = &t->worker->tls_turns;
    if (t->its_turn) {
        t->its_turn = false;
        return true;
    }
    if (!q->first && q->steps < STEPS_PER_LOOP) {
        q->steps++;
        return true;
    }
    if (!t->waits)
        append(q, t);
    return false;
}

void tls_turns_leave(struct tls *t)
{
    if (t->waits)
        take_out(&t->worker->tls_turns, t);
}
