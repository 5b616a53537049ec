/* Preloaded: whoever accepts a connection tries to open a file for reading and one for writing, and
 * says on descriptor 2 what came of it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *attempt(const char *path, int flags)
{
    int fd = open(path, flags, 0600);
    if (fd == -1)
        return strerror(errno);
    close(fd);
    return "opened";
}

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    static int (*real)(int, struct sockaddr *, socklen_t *, int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "accept4");
    int got = real(fd, addr, len, flags);
    if (got == -1)
        return got;
    char title[17] = "", path[256], line[512];
    prctl(PR_GET_NAME, title);
    snprintf(path, sizeof path, "%s/%d", getenv("TRY_IN"), getpid());
    const char *reading = attempt("/etc/passwd", O_RDONLY | O_CLOEXEC);
    int n = snprintf(line, sizeof line, "TRIED %s: read: %s; write: %s\n", title, reading,
                     attempt(path, O_WRONLY | O_CREAT | O_CLOEXEC));
    return write(2, line, (size_t)n) == n ? got : got;
}
