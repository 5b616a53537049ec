#include "master/aside.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void stop(struct aside *a, struct ev_loop *loop)
{
    ev_io_stop(loop, &a->pid_io);
    ev_timer_stop(loop, &a->limit);
    (void)close(a->pidfd);
    a->pidfd = -1;
    a->running = false;
}

static void on_end(struct ev_loop *loop, ev_io *w, int events UNUSED)
{
    struct aside *a = CONTAINER_OF(w, struct aside, pid_io);
    struct reaped how = {0};
    int result = reap(a->pidfd, &how);
    if (result == 0)
        return;
    if (result == -1)
        (void)snprintf(how.text, sizeof how.text, "unknown: %s", strerror(errno));
    stop(a, loop);
    a->over(a, &how);
}

static void on_limit(struct ev_loop *loop UNUSED, ev_timer *w, int events UNUSED)
{
    struct aside *a = CONTAINER_OF(w, struct aside, limit);
    a->late = true;
    aside_kill(a);
}

void aside_watch(struct aside *a, struct ev_loop *loop, int pidfd, double limit_s,
                 void (*over)(struct aside *a, const struct reaped *how))
{
    *a = (struct aside){.running = true, .pidfd = pidfd, .limit_s = limit_s, .over = over};
    ev_io_init(&a->pid_io, on_end, pidfd, EV_READ);
    ev_timer_init(&a->limit, on_limit, limit_s, 0.0);
    ev_io_start(loop, &a->pid_io);
    ev_now_update(loop);
    ev_timer_start(loop, &a->limit);
}

void aside_kill(struct aside *a)
{
    (void)syscall(SYS_pidfd_send_signal, a->pidfd, SIGKILL, NULL, 0);
}

void aside_forget(struct aside *a, struct ev_loop *loop)
{
    if (!a->running)
        return;
    aside_kill(a);
    stop(a, loop);
}
