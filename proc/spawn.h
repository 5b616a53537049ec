/*
 * proc/spawn.h: the only file that forks. Signals are blocked around the fork; the child lets go of
 * the master's watchers and loop, closes every descriptor that is not its own, names itself, drops
 * privileges, gets a fresh loop and enters child_main. The death of its master reaches it as end of
 * file on the control channel, so no parent-death signal is needed.
 */
#ifndef BALLAST_PROC_SPAWN_H
#define BALLAST_PROC_SPAWN_H

#include <sys/types.h>
#include "proc/role.h"

struct spawn {
    const struct role *role;
    struct table *table;
    uint32_t slot, index;
    const struct conf *conf;
    const struct child_listen *listens; /* copied */
    uint32_t listen_count;
    const char *user;            /* "" or not root: keep */
    bool detached;               /* of a daemon: no terminal behind descriptors 0 to 2 */
    bool debug;                  /* stays at log level debug, may leave core files */
    struct ev_loop *parent_loop; /* destroyed in the child */
    void (*child_cleanup)(
        void *arg); /* in the child, before anything else: stop the master's watchers */
    void *cleanup_arg;
    int stay_open[8]; /* descriptors the child keeps besides its own (log, table); -1 ends */
};
/* Returns the pid and the master's end of the control channel, or -1 with errno. *pidfd_out: for
 * waiting (pidfd_open). */
pid_t spawn_child(const struct spawn *s, int *control_out, int *pidfd_out) MUST_CHECK;
/* Another program: its standard output and error go to out_fd, of other descriptors it gets only
 * those of `keep`, under their numbers. 0, or -1 with errno; that it cannot be executed shows as
 * exit status 127. */
struct spawn_keep {
    int *fds;
    uint32_t count;
};
int spawn_program(const char *path, char *const *argv, int out_fd, struct spawn_keep keep,
                  int *pidfd_out) MUST_CHECK;
/* A copy of this process that does one thing, with its privileges, and leaves with an exit status:
 * for what may take longer than a loop may wait. It has no loop, keeps of descriptors 0 to 2, the
 * log and keep_fd, and dies with its parent. 0, or -1 with errno. */
struct spawn_errand {
    const char *title;
    int (*run)(void *data);
    void *data;
    int keep_fd;
};
int spawn_errand(const struct spawn_errand *e, int *pidfd_out) MUST_CHECK;
/* --daemon: forks to the background; the parent waits until the child wrote one byte to the
 * returned descriptor (ready) or died. */
int spawn_daemon(void) MUST_CHECK;

#endif
