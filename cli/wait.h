/*
 * cli/wait.h: waiting for a process of somebody else: its pidfd tells of its death at once,
 * everything else is looked at ten times a second. What is waited for is said on stderr: as a line
 * that renews itself on a terminal, as a line now and then elsewhere.
 */
#ifndef BALLAST_CLI_WAIT_H
#define BALLAST_CLI_WAIT_H

#include "base/base.h"

struct wait {
    int pidfd;
    uint64_t begin_ms, deadline_ms; /* monotonic; deadline 0: none */
    uint64_t said_ms;               /* when the last progress line was written */
    bool shown;                     /* a progress line stands on the terminal */
};

enum wait_result { WAIT_TICK, WAIT_DEAD, WAIT_DEADLINE };

/* timeout_ms 0: no deadline. 0, or -1 with errno (ESRCH: no such process). */
int wait_begin(struct wait *w, uint32_t pid, uint64_t timeout_ms) MUST_CHECK;
void wait_end(struct wait *w); /* clears the progress line */
/* Sends a signal to exactly that process. 0, or -1 with errno. */
int wait_signal(const struct wait *w, int signal_number) MUST_CHECK;
int wait_signal_value(const struct wait *w, int signal_number, uint32_t value) MUST_CHECK;
/* Returns at the next tick, at the process's death, or at the deadline. */
enum wait_result wait_next(struct wait *w) MUST_CHECK;
void wait_say(struct wait *w, const char *fmt, ...) PRINTF(2, 3);

#endif
