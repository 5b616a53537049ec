#include "master/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "proc/spawn.h"

int daemon_begin(struct master *m)
{
    m->daemon_fd = -1;
    if (!m->options->daemon)
        return 0;
    m->daemon_fd = spawn_daemon();
    if (m->daemon_fd == -1) {
        (void)fprintf(stderr, "ballast: cannot go to the background: %s\n", strerror(errno));
        return -1;
    }
    return 0;
}

/* Errors of the start still went to the terminal; later ones go to the log. */
static void leave_terminal(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd == -1)
        return;
    for (int i = 0; i <= 2; i++)
        (void)dup2(fd, i);
    if (fd > 2)
        (void)close(fd);
}

void daemon_ready(struct master *m)
{
    if (m->daemon_fd == -1)
        return;
    leave_terminal();
    ssize_t n;
    do {
        n = write(m->daemon_fd, "", 1);
    } while (n == -1 && errno == EINTR);
    if (n != 1) /* whoever started us was killed meanwhile: no reason to stop */
        log_warning("nobody waits for this daemon to be ready");
    (void)close(m->daemon_fd);
    m->daemon_fd = -1;
}
