/*
 * master/saved_io.h: replaces a file as a whole or not at all, on disk when it is done. A disk may
 * take seconds for that (fsync), and the master must not wait: a thread does it, which touches
 * nothing but its job and makes no memory, so that a child forked meanwhile finds no lock held.
 */
#ifndef BALLAST_MASTER_SAVED_IO_H
#define BALLAST_MASTER_SAVED_IO_H

#include <ev.h>
#include <pthread.h>
#include "base/base.h"

#define SAVED_PATH_BYTES 4200

struct saved_io {
    bool running;
    struct ev_loop *loop;
    ev_async done;
    pthread_t thread;
    char path[SAVED_PATH_BYTES];
    char *text;
    int result, error; /* once it is done */
    void (*over)(struct saved_io *io);
    void *data; /* the caller's */
};

/* Where the state is when nobody says: its directory is made. */
#define SAVED_DEFAULT_PATH "/var/lib/ballast/state"

/* Now. 0, or -1 with errno. */
int saved_io_replace(const char *path, const char *text) MUST_CHECK;
/* In a thread; over() is called from the loop. Takes text (malloc'd), which over() finds in io.
 * False: no thread can be made, and nothing was taken. */
bool saved_io_begin(struct saved_io *io, struct ev_loop *loop, const char *path, char *text,
                    void (*over)(struct saved_io *io)) MUST_CHECK;
/* Waits for the thread, if there is one, and calls over(). */
void saved_io_finish(struct saved_io *io);

#endif
