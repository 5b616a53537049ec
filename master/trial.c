#include "master/trial.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/log.h"
#include "base/magic.h"
#include "master/reap.h"
#include "proc/control.h"

/* Its last words, in one line. */
static void read_words(int fd, char *out, size_t cap)
{
    off_t end = lseek(fd, 0, SEEK_END), from = end >= (off_t)cap ? end - (off_t)cap + 1 : 0;
    ssize_t n = pread(fd, out, cap - 1, from);
    out[n > 0 ? n : 0] = '\0';
    for (char *at = out; *at != '\0'; at++)
        if (*at == '\n')
            *at = at[1] == '\0' ? '\0' : ' ';
}

static void on_end(struct ev_loop *loop, ev_io *w, int events UNUSED)
{
    struct master *m = w->data;
    MAGIC_CHECK(m, MASTER_MAGIC);
    struct trial *t = &m->trial;
    struct reaped how = {0};
    char words[240];
    if (reap(t->pidfd, &how) == 0)
        return;
    read_words(t->words_fd, words, sizeof words);
    ev_io_stop(loop, &t->pid_io);
    ev_timer_stop(loop, &t->limit);
    (void)close(t->pidfd);
    (void)close(t->words_fd);
    t->over(m, how.clean, how.text, words);
}

static void on_limit(struct ev_loop *loop UNUSED, ev_timer *w, int events UNUSED)
{
    struct master *m = w->data;
    MAGIC_CHECK(m, MASTER_MAGIC);
    log_error("upgrade: the new program does not come to an end");
    trial_kill(m);
}

void trial_kill(struct master *m)
{
    (void)syscall(SYS_pidfd_send_signal, m->trial.pidfd, SIGKILL, NULL, 0);
}

static void watch(struct master *m, double limit_s)
{
    struct trial *t = &m->trial;
    ev_io_init(&t->pid_io, on_end, t->pidfd, EV_READ);
    ev_timer_init(&t->limit, on_limit, limit_s, 0.0);
    t->pid_io.data = t->limit.data = m;
    ev_io_start(m->loop, &t->pid_io);
    ev_now_update(m->loop);
    ev_timer_start(m->loop, &t->limit);
}

int trial_begin(struct master *m, char *const *argv, struct spawn_keep keep, double limit_s,
                trial_over *over)
{
    struct trial *t = &m->trial;
    t->over = over;
    t->words_fd = memfd_create("ballast-words", MFD_CLOEXEC);
    if (t->words_fd == -1)
        return -1;
    (void)setenv(UPGRADE_TEST_ENV, "1", 1);
    int result = spawn_program(m->program, argv, t->words_fd, keep, &t->pidfd);
    int saved = errno;
    (void)unsetenv(UPGRADE_TEST_ENV);
    if (result == 0) {
        watch(m, limit_s);
        return 0;
    }
    (void)close(t->words_fd);
    errno = saved;
    return -1;
}
