#include "proc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/log.h"
#include "proc/bundle.h"
#include "proc/control.h"
#include "proc/privileges.h"
#include "proc/title.h"

char *role_title(const char *name, enum slot_role slot_role, uint32_t index, char *out, size_t cap)
{
    if (slot_role == SLOT_WORKER || slot_role == SLOT_SAMPLE)
        (void)snprintf(out, cap, "%s %u", name, index);
    else
        (void)snprintf(out, cap, "%s", name);
    return out;
}

/* ---- descriptors
 * ------------------------------------------------------------------------------------------- */
struct keep {
    int *fds;
    uint32_t count;
};

static int compare(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return x < y ? -1 : x > y;
}

static void keep_fd(struct keep *k, int fd)
{
    if (fd >= 0)
        k->fds[k->count++] = fd;
}

static void collect(const struct spawn *s, int control_fd, struct keep *k)
{
    for (int fd = 0; fd <= 2; fd++)
        keep_fd(k, fd);
    keep_fd(k, control_fd);
    keep_fd(k, s->table->fd);
    keep_fd(k, log_fd());
    for (uint32_t i = 0; i < s->listen_count; i++)
        keep_fd(k, s->listens[i].fd);
    for (size_t i = 0; i < ARRAY_LEN(s->stay_open) && s->stay_open[i] != -1; i++)
        keep_fd(k, s->stay_open[i]);
}

static void close_others(struct keep k)
{
    unsigned next = 0;
    qsort(k.fds, k.count, sizeof *k.fds, compare);
    for (uint32_t i = 0; i < k.count; i++) {
        unsigned fd = (unsigned)k.fds[i];
        if (fd > next)
            (void)close_range(next, fd - 1, 0);
        if (fd >= next)
            next = fd + 1;
    }
    (void)close_range(next, ~0u, 0);
}

static void close_foreign(const struct spawn *s, int control_fd)
{
    struct keep k = {.fds = calloc(s->listen_count + ARRAY_LEN(s->stay_open) + 6, sizeof *k.fds)};
    if (k.fds == NULL)
        _exit(1);
    collect(s, control_fd, &k);
    close_others(k);
    free(k.fds);
}

/* Somebody may wait for the end of what the daemon was started with (a pipe, a terminal). */
static void leave_terminal(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; fd != -1 && i <= 2; i++)
        (void)dup2(fd, i);
    if (fd > 2)
        (void)close(fd);
}

/* ---- the child's first steps
 * ------------------------------------------------------------------------------- */

/* The master drives its children over the control channel; what a terminal or a service manager
 * sends to the whole group is meant for the master. */
static void set_signals(void)
{
    static const int ignored[] = {SIGINT,  SIGTERM,  SIGQUIT, SIGHUP,  SIGUSR1, SIGUSR2,
                                  SIGPIPE, SIGWINCH, SIGTTIN, SIGTTOU, SIGXFSZ};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        (void)sigaction(ignored[i], &ignore, NULL);
    struct sigaction usual = {.sa_handler = SIG_DFL};
    (void)sigaction(SIGCHLD, &usual, NULL);
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void set_names(const struct spawn *s)
{
    char title[48], short_name[16];
    role_title(s->role->name, s->role->slot_role, s->index, title, sizeof title);
    if (s->role->slot_role == SLOT_WORKER)
        (void)snprintf(short_name, sizeof short_name, "ballast:w%u", s->index);
    else
        (void)snprintf(short_name, sizeof short_name, "ballast:%.6s", s->role->name);
    title_set(title, short_name);
    log_set_role(title);
}

/* There is one child per process. NULL: out of memory or descriptors. */
static struct child *build_child(const struct spawn *s)
{
    static struct child c;
    c = (struct child){.role = s->role,
                       .table = s->table,
                       .slot = s->slot,
                       .index = s->index,
                       .conf = s->conf,
                       .listen_count = s->listen_count};
    c.listens = calloc(s->listen_count + 1, sizeof *c.listens);
    c.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (c.listens == NULL || c.loop == NULL)
        return NULL;
    for (uint32_t i = 0; i < s->listen_count; i++)
        c.listens[i] = s->listens[i];
    return &c;
}

/* Says REFUSED and leaves: the master logs the reason. */
__attribute__((noreturn)) static void refuse(const struct spawn *s, int control_fd, const char *why)
{
    struct ctl_msg m = {.type = CTL_REFUSED, .generation = s->conf->generation};
    (void)snprintf(m.text, sizeof m.text, "%s", why);
    if (ctl_send(control_fd, &m, NULL) == -1)
        log_error("%s", why);
    _exit(1);
}

static void become_child(const struct spawn *s, int control_fd)
{
    if (s->child_cleanup != NULL)
        s->child_cleanup(s->cleanup_arg);
    if (s->parent_loop != NULL)
        ev_loop_destroy(s->parent_loop);
    close_foreign(s, control_fd);
    if (s->detached)
        leave_terminal();
    set_names(s);
    char why[256];
    if (privileges_drop(s->user, s->debug, why, sizeof why) == -1)
        refuse(s, control_fd, why);
    bundle_keep_only(s->conf);
    struct child *c = build_child(s);
    if (c == NULL)
        refuse(s, control_fd, "out of memory or descriptors");
    set_signals();
    child_main(c, control_fd, s->debug);
}

/* ---- the master's side
 * ------------------------------------------------------------------------------------- */

/* fork with every signal blocked, so that the child sees none that was meant for its parent. */
static pid_t fork_blocked(sigset_t *before)
{
    sigset_t all;
    (void)sigfillset(&all);
    if (sigprocmask(SIG_SETMASK, &all, before) == -1)
        return -1;
    (void)fflush(NULL);
    return fork();
}

static int open_pidfd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
}

/* pid: of a child, or -1 with errno. One that cannot be watched ends: nobody would hear of its
 * death. 0, or -1 with errno. */
static int watch_child(pid_t pid, int *pidfd_out)
{
    *pidfd_out = pid == -1 ? -1 : open_pidfd(pid);
    if (pid != -1 && *pidfd_out == -1) {
        int saved = errno;
        (void)kill(pid, SIGKILL);
        errno = saved;
    }
    return *pidfd_out == -1 ? -1 : 0;
}

pid_t spawn_child(const struct spawn *s, int *control_out, int *pidfd_out)
{
    int ends[2];
    sigset_t before;
    if (ctl_pair(ends) == -1)
        return -1;
    pid_t pid = fork_blocked(&before);
    if (pid == 0)
        become_child(s, ends[1]);
    int saved = errno;
    (void)close(ends[1]);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    *control_out = ends[0];
    errno = saved;
    if (watch_child(pid, pidfd_out) == 0)
        return pid;
    saved = errno;
    (void)close(ends[0]);
    errno = saved;
    return -1;
}

static void close_all_but(struct spawn_keep keep)
{
    (void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    for (uint32_t i = 0; i < keep.count; i++)
        (void)fcntl(keep.fds[i], F_SETFD, 0);
}

__attribute__((noreturn)) static void become_program(const char *path, char *const *argv,
                                                     int out_fd, struct spawn_keep keep)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(out_fd, STDOUT_FILENO) == -1 || dup2(out_fd, STDERR_FILENO) == -1)
        _exit(127);
    close_all_but(keep);
    (void)execv(path, argv);
    (void)dprintf(STDERR_FILENO, "cannot execute %s: %s", path, strerror(errno));
    _exit(127);
}

int spawn_program(const char *path, char *const *argv, int out_fd, struct spawn_keep keep,
                  int *pidfd_out)
{
    sigset_t before;
    pid_t pid = fork_blocked(&before);
    if (pid == 0)
        become_program(path, argv, out_fd, keep);
    int saved = errno;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return watch_child(pid, pidfd_out);
}

__attribute__((noreturn)) static void become_errand(const struct spawn_errand *e, pid_t parent)
{
    int fds[6];
    struct keep k = {.fds = fds};
    for (int fd = 0; fd <= 2; fd++)
        keep_fd(&k, fd);
    keep_fd(&k, log_fd());
    keep_fd(&k, e->keep_fd);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
        _exit(1);
    close_others(k);
    title_set(e->title, "ballast:errand");
    set_signals();
    _exit(e->run(e->data));
}

int spawn_errand(const struct spawn_errand *e, int *pidfd_out)
{
    sigset_t before;
    pid_t parent = getpid();
    pid_t pid = fork_blocked(&before);
    if (pid == 0)
        become_errand(e, parent);
    int saved = errno;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return watch_child(pid, pidfd_out);
}

/* The parent of a daemon: leaves when the daemon is ready, or with its failure. */
static void wait_for_daemon(int fd)
{
    char byte;
    ssize_t n;
    do {
        n = read(fd, &byte, 1);
    } while (n == -1 && errno == EINTR);
    _exit(n == 1 ? 0 : 1);
}

int spawn_daemon(void)
{
    int ends[2];
    sigset_t before;
    if (pipe2(ends, O_CLOEXEC) == -1)
        return -1;
    pid_t pid = fork_blocked(&before);
    if (pid > 0) {
        (void)close(ends[1]);
        wait_for_daemon(ends[0]);
    }
    int saved = errno;
    (void)close(ends[0]);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid == 0 && setsid() != -1)
        return ends[1];
    (void)close(ends[1]);
    errno = saved;
    return -1;
}
