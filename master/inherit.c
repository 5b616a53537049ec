/* master/inherit.c: sockets that the service manager opened for us (sd_listen_fds(3)), without its
 * library. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/net.h"
#include "master/listen.h"

#define FIRST_FD 3

/* How many descriptors were passed to this very process. */
static int passed(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    int count = 0;
    if (pid != NULL && fds != NULL && strtol(pid, NULL, 10) == getpid())
        count = (int)strtol(fds, NULL, 10);
    (void)unsetenv("LISTEN_PID"); /* not for our children */
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return count < 0 ? 0 : count;
}

static bool is_listening_stream(int fd)
{
    int type = 0, accepting = 0;
    socklen_t len = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1 || type != SOCK_STREAM)
        return false;
    len = sizeof accepting;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &len) == 0 && accepting != 0;
}

static struct listen_group *take(struct master *m, int fd)
{
    struct listen_group *g = calloc(1, sizeof *g);
    if (g == NULL)
        return NULL;
    g->addr.len_bytes = sizeof g->addr.u;
    if (getsockname(fd, &g->addr.u.sa, &g->addr.len_bytes) == -1 || net_set_nonblock(fd) == -1 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) == -1) {
        free(g);
        return NULL;
    }
    g->id = ++m->listens.last_id;
    net_addr_format(&g->addr, g->text, sizeof g->text);
    g->shared = g->inherited = true;
    if (g->addr.u.sa.sa_family == AF_UNIX)
        (void)!net_refuse_fds(fd);
    g->fds[0] = fd;
    g->live = g->count = 1;
    g->next = m->listens.groups;
    m->listens.groups = g;
    return g;
}

void listen_inherit(struct master *m)
{
    int count = passed();
    for (int fd = FIRST_FD; fd < FIRST_FD + count; fd++) {
        const struct listen_group *g = is_listening_stream(fd) ? take(m, fd) : NULL;
        if (g == NULL)
            log_warning(
                "descriptor %d from the service manager is not a listening stream socket: ignored",
                fd);
        else
            log_info("socket from the service manager: address=%s", g->text);
    }
}

void listen_inherit_end(struct master *m)
{
    for (struct listen_group **at = &m->listens.groups; *at != NULL;) {
        struct listen_group *g = *at;
        if (!g->inherited || g->wanted) {
            at = &g->next;
            continue;
        }
        log_warning("no bind names the socket from the service manager: it is closed: address=%s",
                    g->text);
        (void)close(g->fds[0]);
        *at = g->next;
        free(g);
    }
}
