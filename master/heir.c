#include "master/heir.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "master/processes.h"

static bool can_inherit(const struct process *p, const struct process *leaving)
{
    return p != leaving && p->role != NULL && p->role->slot_role == SLOT_WORKER &&
           process_wanted(p) &&
           (p->state == PROCESS_SERVING || p->state == PROCESS_OFFERED ||
            p->state == PROCESS_ADOPTED);
}

/* The one of the same number, who has the same listening sockets; else they take turns. */
static struct process *find(struct process *leaving)
{
    struct master *m = leaving->master;
    struct process *found = NULL;
    uint32_t workers = m->current->conf->workers;
    PROCESS_EACH(m, p)
    if (can_inherit(p, leaving) && (found == NULL || p->index == leaving->index % workers))
        found = p;
    return found;
}

void heir_appoint(struct process *leaving)
{
    int ends[2];
    struct process *heir = find(leaving);
    struct ctl_msg give = {.type = CTL_HANDOVER, .fd_count = 1};
    struct ctl_msg take = {.type = CTL_HEIR, .fd_count = 1};
    if (heir == NULL)
        return;
    if (ctl_pair(ends) == -1) {
        log_warning("%s hands nothing over: error=\"%s\"", leaving->title, strerror(errno));
        return;
    }
    process_send(heir, &take, &ends[0]);
    process_send(leaving, &give, &ends[1]);
    (void)close(ends[0]);
    (void)close(ends[1]);
}
