/*
 * proc/spawn.h: the only file that forks. Blocks signals, forks; the child stops nothing it did not start: it gets a fresh loop, closes foreign
 * descriptors, drops privileges, sets PDEATHSIG-free parent-death detection (control channel EOF), names itself, and enters child_main.
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
    const char *user;                   /* "" or not root: keep */
    struct ev_loop *parent_loop;        /* destroyed in the child */
    void (*child_cleanup)(void *arg);   /* in the child, before anything else: stop the master's watchers */
    void *cleanup_arg;
    int stay_open[8];                   /* descriptors the child keeps besides its own (log, table); -1 ends */
};
/* Returns the pid and the master's end of the control channel, or -1 with errno. *pidfd_out: for waiting (pidfd_open). */
pid_t spawn_child(const struct spawn *s, int *control_out, int *pidfd_out) MUST_CHECK;
/* --daemon: forks to the background; the parent waits until the child wrote one byte to the returned descriptor (ready) or died. */
int spawn_daemon(void) MUST_CHECK;

#endif
