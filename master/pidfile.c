#include "master/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"

/* /run is empty after a boot: the default's directory may be missing. */
static void make_directory(const char *path)
{
    char copy[4096];
    if (snprintf(copy, sizeof copy, "%s", path) < (int)sizeof copy)
        (void)mkdir(dirname(copy), 0755); /* if it fails, open says why */
}

static long holder(int fd)
{
    char text[32] = "";
    long pid = 0;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    return n > 0 && sscanf(text, "%ld", &pid) == 1 ? pid : 0;
}

static int lock(int fd, const char *path, char *why, size_t why_cap)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        (void)snprintf(why, why_cap, "%s is held by a running instance (pid %ld)", path,
                       holder(fd));
    else
        (void)snprintf(why, why_cap, "cannot lock %s: %s", path, strerror(errno));
    return -1;
}

static int write_pid(int fd)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n ? 0 : -1;
}

static int fail(struct master *m, int fd, bool optional, const char *why)
{
    if (fd != -1)
        (void)close(fd);
    m->pid_path = NULL;
    if (!optional)
        return -1;
    log_info("no pid file: %s", why);
    return 0;
}

int pidfile_open(struct master *m, const char *path, char *why, size_t why_cap)
{
    bool optional =
        !m->options->daemon && m->options->pid_file == NULL && strcmp(path, PIDFILE_DEFAULT) == 0;
    m->pid_fd = -1;
    if (path[0] == '\0')
        return 0;
    if (!optional && strcmp(path, PIDFILE_DEFAULT) == 0)
        make_directory(path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd == -1) {
        (void)snprintf(why, why_cap, "cannot write %s: %s", path, strerror(errno));
        return fail(m, fd, optional, why);
    }
    if (lock(fd, path, why, why_cap) == -1)
        return fail(m, fd, optional, why);
    if (write_pid(fd) == -1) {
        (void)snprintf(why, why_cap, "cannot write %s: %s", path, strerror(errno));
        return fail(m, fd, optional, why);
    }
    m->pid_fd = fd;
    m->pid_path = strdup(path);
    return 0;
}

void pidfile_remove(struct master *m)
{
    if (m->pid_path == NULL)
        return;
    (void)unlink(m->pid_path);
    (void)close(m->pid_fd);
    free(m->pid_path);
    m->pid_path = NULL;
}
