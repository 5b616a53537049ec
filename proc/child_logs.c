/* proc/child_logs.c: see proc/child_logs.h. One child per process. */
#include "proc/child_logs.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct child_log logs[CHILD_LOGS_MAX];

static enum child_log_kind kind_of(int fd)
{
    struct stat st;
    int type = 0;
    socklen_t len = sizeof type;
    if (fstat(fd, &st) == -1)
        return CHILD_LOG_NONE;
    if (S_ISREG(st.st_mode))
        return CHILD_LOG_FILE;
    if (!S_ISSOCK(st.st_mode))
        return fcntl(fd, F_GETFL) & O_NONBLOCK ? CHILD_LOG_PIPE : CHILD_LOG_BLOCKING;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM)
        return CHILD_LOG_DATAGRAM;
    return CHILD_LOG_STREAM;
}

static void set(uint32_t sink, int fd)
{
    struct child_log *log = &logs[sink];
    if (log->kind != CHILD_LOG_NONE)
        (void)close(log->fd);
    *log = (struct child_log){.fd = fd, .kind = fd == -1 ? CHILD_LOG_NONE : kind_of(fd)};
}

void child_logs_take(const struct ctl_msg *m, const int *fds)
{
    bool closes = m->fd_count == 0;
    uint32_t count = closes ? m->number : m->fd_count;
    for (uint32_t i = 0; i < count && i < CTL_FDS; i++) {
        if (m->ids[i] < CHILD_LOGS_MAX)
            set(m->ids[i], closes ? -1 : fds[i]);
        else if (!closes)
            (void)close(fds[i]);
    }
}

const struct child_log *child_log(uint32_t sink)
{
    static const struct child_log none = {.fd = -1, .kind = CHILD_LOG_NONE};
    return sink < CHILD_LOGS_MAX && logs[sink].kind != CHILD_LOG_NONE ? &logs[sink] : &none;
}
