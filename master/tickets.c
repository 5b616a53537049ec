/* master/tickets.c */
#include "master/tickets.h"

#include <errno.h>
#include <string.h>
#include "base/log.h"
#include "shm/tickets.h"

#define ROTATE_LEAST_S 3600.

/* A ticket lives at most for one rotation, and keys for two more. */
static double period_s(const struct conf *c)
{
    double longest_s = ROTATE_LEAST_S;
    for (uint32_t i = 0; i < c->listener_count; i++) {
        const struct conf_tls *t = c->listeners[i].tls;
        if (t != NULL && t->session_timeout_ms / 1000. > longest_s)
            longest_s = t->session_timeout_ms / 1000.;
    }
    return longest_s;
}

static void on_rotate(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)revents;
    const struct master *m = CONTAINER_OF(timer, struct master, rotate);
    tickets_rotate();
    timer->repeat = period_s(m->current->conf);
    ev_timer_again(loop, timer);
    log_debug("new session ticket key");
}

void tickets_start(struct master *m)
{
    if (tickets_fd() == -1 && tickets_create() == -1) {
        log_warning("no session tickets: %s", strerror(errno));
        return;
    }
    ev_timer_init(&m->rotate, on_rotate, 0., period_s(m->current->conf));
    ev_timer_again(m->loop, &m->rotate);
}

void tickets_stop(struct master *m)
{
    if (tickets_fd() == -1)
        return;
    ev_timer_stop(m->loop, &m->rotate);
    tickets_wipe();
}
