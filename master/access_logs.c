#include "master/access_logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/net.h"
#include "master/processes.h"

#define SYSLOG_SOCKET "/dev/log"

/* ---- opening ---- */

static int open_syslog(void)
{
    struct net_addr a;
    char why[128];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1 || net_addr_parse("unix:" SYSLOG_SOCKET, &a, why, sizeof why) == -1 ||
        connect(fd, &a.u.sa, a.len_bytes) == -1) {
        int saved = errno;
        if (fd != -1)
            (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* What we inherited may be shared with a shell: it must not become non-blocking there, so it is
 * opened anew. A socket (of the service manager) cannot be, and needs no such flag. */
static int open_standard(int fd)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int mine = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (mine == -1)
        mine = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return mine;
}

static int open_target(const char *target)
{
    if (strcmp(target, "syslog") == 0)
        return open_syslog();
    if (strcmp(target, "stdout") == 0)
        return open_standard(STDOUT_FILENO);
    if (strcmp(target, "stderr") == 0)
        return open_standard(STDERR_FILENO);
    return open(target, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0640);
}

/* ---- sinks ---- */

static struct access_sink *find(struct master *m, const char *target)
{
    for (uint32_t i = 0; i < CHILD_LOGS_MAX; i++)
        if (m->sinks[i].target != NULL && strcmp(m->sinks[i].target, target) == 0)
            return &m->sinks[i];
    return NULL;
}

static void send_to_workers(struct master *m, const struct ctl_msg *msg, const int *fds)
{
    PROCESS_EACH(m, p)
    if (process_alive(p) && p->role->slot_role == SLOT_WORKER)
        process_send(p, msg, fds);
}

static void send_one(struct master *m, const struct access_sink *s)
{
    struct ctl_msg msg = {.type = CTL_LOGS, .fd_count = 1};
    msg.ids[0] = (uint32_t)(s - m->sinks);
    send_to_workers(m, &msg, &s->fd);
}

static struct access_sink *add(struct master *m, const char *target)
{
    for (uint32_t i = 0; i < CHILD_LOGS_MAX; i++) {
        struct access_sink *s = &m->sinks[i];
        if (s->target != NULL)
            continue;
        int fd = open_target(target);
        char *kept = fd == -1 ? NULL : strdup(target);
        if (kept == NULL)
            return NULL;
        *s = (struct access_sink){.target = kept, .fd = fd};
        send_one(m, s);
        return s;
    }
    errno = EMFILE;
    return NULL;
}

static bool unseen(const struct master *m, const char *target)
{
    return m->options->daemon && (strcmp(target, "stdout") == 0 || strcmp(target, "stderr") == 0);
}

int access_logs_prepare(struct master *m, struct conf *conf, struct conf_errors *errors)
{
    int result = 0;
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        struct conf_access_log *log = &conf->listeners[i].access_log;
        if (!*log->path)
            continue;
        struct access_sink *s = unseen(m, log->path) ? NULL : find(m, log->path);
        if (s == NULL && !unseen(m, log->path))
            s = add(m, log->path);
        if (s != NULL) {
            log->sink = (uint32_t)(s - m->sinks);
            continue;
        }
        conf_errors_add(errors, conf->listeners[i].pos,
                        "listeners.%s.access_log: cannot open %s: %s", conf->listeners[i].name,
                        log->path, unseen(m, log->path) ? "a daemon has none" : strerror(errno));
        result = -1;
    }
    return result;
}

void access_logs_send(struct process *p)
{
    struct master *m = p->master;
    if (p->role->slot_role != SLOT_WORKER)
        return;
    for (uint32_t i = 0; i < CHILD_LOGS_MAX;) {
        struct ctl_msg msg = {.type = CTL_LOGS};
        int fds[CTL_FDS];
        for (; i < CHILD_LOGS_MAX && msg.fd_count < CTL_FDS; i++)
            if (m->sinks[i].target != NULL) {
                msg.ids[msg.fd_count] = i;
                fds[msg.fd_count++] = m->sinks[i].fd;
            }
        if (msg.fd_count > 0)
            process_send(p, &msg, fds);
    }
}

void access_logs_reopen(struct master *m)
{
    for (uint32_t i = 0; i < CHILD_LOGS_MAX; i++) {
        struct access_sink *s = &m->sinks[i];
        int fd = s->target == NULL ? -1 : open_target(s->target);
        if (fd != -1) {
            (void)close(s->fd);
            s->fd = fd;
            send_one(m, s);
        } else if (s->target != NULL) {
            log_error("cannot reopen the access log %s: %s; the old one stays", s->target,
                      strerror(errno));
        }
    }
}

static bool is_named(const struct master *m, uint32_t sink)
{
    for (const struct generation *g = m->generations; g != NULL; g = g->next)
        for (uint32_t i = 0; i < g->conf->listener_count; i++)
            if (g->conf->listeners[i].access_log.sink == sink)
                return true;
    return false;
}

static void close_sink(struct access_sink *s)
{
    if (s->target != NULL)
        (void)close(s->fd);
    free(s->target);
    *s = (struct access_sink){.fd = -1};
}

void access_logs_sweep(struct master *m)
{
    struct ctl_msg msg = {.type = CTL_LOGS, .number = 1};
    for (uint32_t i = 0; i < CHILD_LOGS_MAX; i++) {
        struct access_sink *s = &m->sinks[i];
        if (s->target == NULL || is_named(m, i))
            continue;
        msg.ids[0] = i;
        send_to_workers(m, &msg, NULL);
        close_sink(s);
    }
}

void access_logs_close(struct master *m)
{
    for (uint32_t i = 0; i < CHILD_LOGS_MAX; i++)
        close_sink(&m->sinks[i]);
}
