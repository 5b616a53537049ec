#include "proc/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include "base/magic.h"

#define OUTBOX_MAGIC 0x0B0C0B01u

struct outbox_item {
    struct outbox_item *next;
    struct ctl_msg msg;
    int fds[CTL_FDS];
};

static void free_item(struct outbox_item *i)
{
    ctl_close_fds(i->fds, i->msg.fd_count);
    free(i);
}

static struct outbox_item *new_item(const struct ctl_msg *m, const int *fds)
{
    struct outbox_item *i = calloc(1, sizeof *i);
    if (i == NULL)
        return NULL;
    i->msg = *m;
    for (uint32_t n = 0; n < m->fd_count; n++) {
        i->fds[n] = fcntl(fds[n], F_DUPFD_CLOEXEC, 3);
        if (i->fds[n] == -1) {
            int saved = errno;
            i->msg.fd_count = n;
            free_item(i);
            errno = saved;
            return NULL;
        }
    }
    return i;
}

static void pop(struct outbox *o)
{
    struct outbox_item *i = o->first;
    o->first = i->next;
    if (o->first == NULL)
        o->last = NULL;
    free_item(i);
}

static void on_writable(struct ev_loop *loop UNUSED, ev_io *w, int events UNUSED)
{
    struct outbox *o = w->data;
    MAGIC_CHECK(o, OUTBOX_MAGIC);
    while (o->first != NULL) {
        if (ctl_send(w->fd, &o->first->msg, o->first->fds) == -1) {
            if (errno == EAGAIN)
                return;
            outbox_close(o); /* the peer is dead: its end of file tells the owner */
            return;
        }
        pop(o);
    }
    ev_io_stop(o->loop, w);
}

void outbox_init(struct outbox *o, struct ev_loop *loop, int fd)
{
    *o = (struct outbox){.loop = loop};
    MAGIC_SET(o, OUTBOX_MAGIC);
    ev_io_init(&o->writable, on_writable, fd, EV_WRITE);
    o->writable.data = o;
}

static int queue(struct outbox *o, const struct ctl_msg *m, const int *fds)
{
    struct outbox_item *i = new_item(m, fds);
    if (i == NULL)
        return -1;
    if (o->last == NULL)
        o->first = i;
    else
        o->last->next = i;
    o->last = i;
    ev_io_start(o->loop, &o->writable);
    return 0;
}

int outbox_send(struct outbox *o, const struct ctl_msg *m, const int *fds)
{
    MAGIC_CHECK(o, OUTBOX_MAGIC);
    if (o->first != NULL)
        return queue(o, m, fds);
    if (ctl_send(o->writable.fd, m, fds) == 0)
        return 0;
    return errno == EAGAIN ? queue(o, m, fds) : -1;
}

void outbox_close(struct outbox *o)
{
    ev_io_stop(o->loop, &o->writable);
    while (o->first != NULL)
        pop(o);
}
