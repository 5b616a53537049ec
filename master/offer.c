#include "master/offer.h"

#include <stdlib.h>
#include "base/log.h"
#include "master/generation.h"
#include "master/listen.h"
#include "master/processes.h"

static void send_bundle(struct process *p, const struct generation *g)
{
    struct ctl_msg msg = {.type = CTL_OFFER,
                          .generation = g->number,
                          .fd_count = 1,
                          .address = (uint64_t)(uintptr_t)g->bundle.address,
                          .len_bytes = g->bundle.len_bytes,
                          .root = (uint64_t)(uintptr_t)g->conf};
    process_send(p, &msg, &g->bundle.fd);
}

static void send_listens(struct process *p, uint32_t type, const struct generation *g,
                         const struct child_listen *listens, uint32_t count)
{
    for (uint32_t done = 0; done < count;) {
        struct ctl_msg msg = {.type = type, .generation = g->number};
        int fds[CTL_FDS];
        for (; msg.fd_count < CTL_FDS && done < count; done++) {
            msg.ids[msg.fd_count] = listens[done].bind_id;
            fds[msg.fd_count++] = listens[done].fd;
        }
        process_send(p, &msg, fds);
    }
}

void offer_send(struct process *p, struct generation *g)
{
    struct child_listen *listens = calloc(listen_count_max(g->conf) + 1, sizeof *listens);
    if (listens == NULL) {
        log_error("out of memory: %s gets no offer", p->title);
        process_kill(p); /* its death rolls the reload back */
        return;
    }
    process_set_state(p, PROCESS_OFFERED);
    generation_hold(g, p->slot);
    send_bundle(p, g);
    send_listens(p, CTL_LISTEN, g, listens, listen_of(p->master, p, g->conf, true, listens));
    struct ctl_msg end = {.type = CTL_OFFER_END, .generation = g->number};
    process_send(p, &end, NULL);
    free(listens);
}

static struct process *find_sibling(struct master *m)
{
    PROCESS_EACH(m, p)
    if (p->role != NULL && p->role->slot_role == SLOT_WORKER &&
        (p->state == PROCESS_SERVING || p->state == PROCESS_OFFERED || p->state == PROCESS_ADOPTED))
        return p;
    return NULL;
}

void offer_queues(struct master *m, const struct process *dead)
{
    const struct generation *g = m->current;
    struct process *sibling = find_sibling(m);
    struct child_listen *listens = calloc(listen_count_max(g->conf) + 1, sizeof *listens);
    if (sibling != NULL && listens != NULL)
        send_listens(sibling, CTL_QUEUE, g, listens, listen_of(m, dead, g->conf, false, listens));
    free(listens);
}

void offer_commit(struct process *p)
{
    process_set_state(p, PROCESS_SERVING);
    process_tell(p, CTL_GO, 0);
}

void offer_withdraw(struct process *p)
{
    if (p->state != PROCESS_OFFERED && p->state != PROCESS_ADOPTED)
        return;
    process_set_state(p, PROCESS_SERVING);
    process_tell(p, CTL_ABORT, 0);
}
