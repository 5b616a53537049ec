/*
 * proc/sandbox.h: what a process may still do with files once it has all it needs (Landlock,
 * Linux 5.13). For good, also for its threads; descriptors that are open stay what they are, and
 * sockets, shared memory and memfds are none of its business. Reached is what the kernel has.
 */
#ifndef BALLAST_PROC_SANDBOX_H
#define BALLAST_PROC_SANDBOX_H

#include "base/base.h"

enum sandbox {
    SANDBOX_READ_ONLY, /* opens files for reading; creates, changes and executes none */
    SANDBOX_NO_FILES   /* nor that, but for what libraries load late */
};

/* Needs no-new-privileges. The version of the kernel's interface (1 and up); 0: it has none (or a
 * container does not let us), or the program is sanitized (which looks at itself through /proc); -1
 * with errno: it refused. */
int sandbox_enter(enum sandbox s) MUST_CHECK;

#endif
