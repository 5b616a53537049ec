#include "master/lease_socket.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/net.h"

#define BACKLOG 256

/* Its mode before bind is the mode of its name: nobody gets in before it is said who may. */
static int bind_private(int fd, const struct sockaddr_un *name)
{
    if (unlink(name->sun_path) == -1 && errno != ENOENT)
        return -1;
    if (fchmod(fd, S_IRUSR | S_IWUSR) == -1)
        return -1;
    return bind(fd, (const struct sockaddr *)name, sizeof *name);
}

static int share(const struct sockaddr_un *name, const char *group_name)
{
    const struct group *group = group_name[0] != '\0' ? getgrnam(group_name) : NULL;
    if (group == NULL)
        return 0;
    if (chown(name->sun_path, (uid_t)-1, group->gr_gid) == -1)
        return -1;
    return chmod(name->sun_path, S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP);
}

int lease_socket_open(struct master *m)
{
    struct sockaddr_un name;
    if (m->current->conf->client_leases == 0)
        return 0;
    table_socket_name(m->table.header->master_pid, &name);
    m->lease_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (m->lease_fd != -1)
        (void)!net_refuse_fds(m->lease_fd); /* the broker looks out where this cannot be */
    if (m->lease_fd != -1 && bind_private(m->lease_fd, &name) == 0 &&
        share(&name, m->current->conf->table_group) == 0 && listen(m->lease_fd, BACKLOG) == 0)
        return 0;
    log_error("cannot start: client_leases: %s: %s", name.sun_path, strerror(errno));
    return -1;
}

void lease_socket_close(struct master *m)
{
    if (m->lease_fd != -1)
        (void)close(m->lease_fd);
    m->lease_fd = -1;
}

uint32_t lease_socket_of(const struct master *m, bool fresh, struct child_listen *out)
{
    if (fresh || m->lease_fd == -1)
        return 0;
    out[0] = (struct child_listen){.bind_id = UINT32_MAX, .fd = m->lease_fd};
    return 1;
}
