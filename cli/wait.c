#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/clock.h"
#include "cli/wait.h"

#define TICK_MS      100
#define QUIET_MS     1000  /* a wait shorter than this says nothing */
#define SAY_EVERY_MS 10000 /* when stderr is not a terminal */

int wait_begin(struct wait *w, uint32_t pid, uint64_t timeout_ms)
{
    *w = (struct wait){.begin_ms = clock_mono_ms()};
    w->deadline_ms = timeout_ms ? w->begin_ms + timeout_ms : 0;
    w->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    return w->pidfd == -1 ? -1 : 0;
}

void wait_end(struct wait *w)
{
    if (w->shown)
        fputs("\r\033[K", stderr);
    w->shown = false;
    close(w->pidfd);
}

int wait_signal(const struct wait *w, int signal_number)
{
    return syscall(SYS_pidfd_send_signal, w->pidfd, signal_number, NULL, 0) == -1 ? -1 : 0;
}

int wait_signal_value(const struct wait *w, int signal_number, uint32_t value)
{
    siginfo_t info = {.si_signo = signal_number, .si_code = SI_QUEUE};
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = (int)value;
    return syscall(SYS_pidfd_send_signal, w->pidfd, signal_number, &info, 0) == -1 ? -1 : 0;
}

enum wait_result wait_next(struct wait *w)
{
    struct pollfd p = {.fd = w->pidfd, .events = POLLIN};
    int n = poll(&p, 1, TICK_MS);

    if (n == 1)
        return WAIT_DEAD;
    if (w->deadline_ms != 0 && clock_mono_ms() >= w->deadline_ms)
        return WAIT_DEADLINE;
    return WAIT_TICK;
}

void wait_say(struct wait *w, const char *fmt, ...)
{
    uint64_t now = clock_mono_ms();
    bool terminal = isatty(STDERR_FILENO) == 1;
    uint64_t pause_ms = terminal ? TICK_MS : SAY_EVERY_MS;
    va_list ap;

    if (now - w->begin_ms < QUIET_MS || (w->said_ms != 0 && now - w->said_ms < pause_ms))
        return;
    w->said_ms = now;
    w->shown = terminal;
    if (terminal)
        fputs("\r\033[K", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, " (%llu s)%s", (unsigned long long)(now - w->begin_ms) / 1000,
            terminal ? "" : "\n");
}
