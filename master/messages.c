#include "master/messages.h"

#include <errno.h>
#include <string.h>
#include "base/log.h"
#include "master/generation.h"
#include "master/lifecycle.h"
#include "master/processes.h"
#include "master/reload.h"
#include "master/saved.h"
#include "master/upgrade.h"

#define IN(state)  (1u << (state))
#define IN_SERVICE (IN(PROCESS_SERVING) | IN(PROCESS_OFFERED) | IN(PROCESS_ADOPTED))

static void on_released(struct process *p, const struct ctl_msg *msg)
{
    if (msg->generation != 0 && msg->generation != p->master->current->number)
        generation_drop(p->master, msg->generation, p->slot);
}

static void on_reload(struct process *p, const struct ctl_msg *msg UNUSED)
{
    reload_request(p->master, true);
}

static void on_changed(struct process *p, const struct ctl_msg *msg UNUSED)
{
    saved_soon(p->master);
}

static void on_upgrade(struct process *p, const struct ctl_msg *msg UNUSED)
{
    upgrade_request(p->master);
}

struct rule {
    uint32_t type;
    uint32_t states;
    enum slot_role role; /* SLOT_EMPTY: any */
    void (*handle)(struct process *p, const struct ctl_msg *msg);
};

static const struct rule rules[] = {
    {CTL_READY, IN(PROCESS_STARTING), SLOT_EMPTY, lifecycle_ready},
    {CTL_READY, IN(PROCESS_OFFERED), SLOT_EMPTY, reload_ready},
    {CTL_REFUSED, IN(PROCESS_STARTING), SLOT_EMPTY, lifecycle_refused},
    {CTL_REFUSED, IN(PROCESS_OFFERED), SLOT_EMPTY, reload_refused},
    {CTL_RELEASED, IN_SERVICE | IN(PROCESS_DRAINING), SLOT_EMPTY, on_released},
    {CTL_RELOAD, IN_SERVICE, SLOT_ADMIN, on_reload},
    {CTL_UPGRADE, IN_SERVICE, SLOT_ADMIN, on_upgrade},
    {CTL_CHANGED, IN_SERVICE | IN(PROCESS_DRAINING), SLOT_ADMIN, on_changed},
};

static void dispatch(struct process *p, const struct ctl_msg *msg)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const struct rule *r = &rules[i];
        if (r->type == msg->type && (r->states & IN(p->state)) != 0 &&
            (r->role == SLOT_EMPTY || r->role == p->role->slot_role)) {
            r->handle(p, msg);
            return;
        }
    }
    log_debug("gossip: from=\"%s\" message=%s generation=%u", p->title, ctl_type_name(msg->type),
              msg->generation);
}

void messages_read(struct process *p)
{
    while (p->control_fd != -1) {
        struct ctl_msg msg;
        int fds[CTL_FDS];
        int got = ctl_recv(p->control_fd, &msg, fds);
        if (got == 1) {
            ctl_close_fds(fds, msg.fd_count); /* no message of a child carries any */
            dispatch(p, &msg);
            continue;
        }
        if (got == -1 && errno == EAGAIN)
            return;
        ev_io_stop(p->master->loop, &p->control_io);
        process_kill(p); /* usually it is dying already; without its channel it is of no use */
        return;
    }
}
