#include "master/saved_io.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n == -1 && errno != EINTR)
            return -1;
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
    return fsync(fd);
}

static void sync_directory(const char *path)
{
    char copy[SAVED_PATH_BYTES];
    (void)snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd != -1) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

static int open_beside(const char *path, char *temporary)
{
    char copy[SAVED_PATH_BYTES];
    (void)snprintf(temporary, SAVED_PATH_BYTES, "%s.new", path);
    (void)snprintf(copy, sizeof copy, "%s", path);
    if (strcmp(path, SAVED_DEFAULT_PATH) == 0)
        (void)mkdir(dirname(copy), 0755); /* if it fails, open says why */
    (void)unlink(temporary);              /* what a killed master left */
    return open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int saved_io_replace(const char *path, const char *text)
{
    char temporary[SAVED_PATH_BYTES];
    int fd = open_beside(path, temporary);
    if (fd == -1)
        return -1;
    int result = write_all(fd, text, strlen(text)), saved = errno;
    (void)close(fd);
    if (result == 0 && (result = rename(temporary, path)) == -1)
        saved = errno;
    if (result == 0)
        sync_directory(path);
    else
        (void)unlink(temporary);
    errno = saved;
    return result;
}

/* ---- in a thread ---- */

static void *run(void *data)
{
    struct saved_io *io = data;
    io->result = saved_io_replace(io->path, io->text);
    io->error = errno;
    ev_async_send(io->loop, &io->done);
    return NULL;
}

static void on_done(struct ev_loop *loop UNUSED, ev_async *w, int events UNUSED)
{
    saved_io_finish(CONTAINER_OF(w, struct saved_io, done));
}

/* Signals are the loop's. */
static int start(struct saved_io *io)
{
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return -1;
    int result = pthread_create(&io->thread, NULL, run, io);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result == 0 ? 0 : -1;
}

bool saved_io_begin(struct saved_io *io, struct ev_loop *loop, const char *path, char *text,
                    void (*over)(struct saved_io *io))
{
    (void)snprintf(io->path, sizeof io->path, "%s", path);
    io->text = text;
    io->over = over;
    io->loop = loop;
    ev_async_init(&io->done, on_done);
    ev_async_start(loop, &io->done);
    io->running = start(io) == 0;
    if (!io->running)
        ev_async_stop(loop, &io->done);
    return io->running;
}

void saved_io_finish(struct saved_io *io)
{
    if (!io->running)
        return;
    (void)pthread_join(io->thread, NULL);
    ev_async_stop(io->loop, &io->done);
    io->running = false;
    io->over(io);
}
