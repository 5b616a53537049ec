#include "master/trial.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/log.h"
#include "base/magic.h"
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

static void on_end(struct aside *a, const struct reaped *how)
{
    struct master *m = CONTAINER_OF(a, struct master, trial.aside);
    MAGIC_CHECK(m, MASTER_MAGIC);
    char words[240];
    if (a->late)
        log_error("upgrade: the new program does not come to an end");
    read_words(m->trial.words_fd, words, sizeof words);
    (void)close(m->trial.words_fd);
    m->trial.over(m, how->clean, how->text, words);
}

void trial_kill(struct master *m)
{
    aside_kill(&m->trial.aside);
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
    int pidfd;
    int result = spawn_program(m->program, argv, t->words_fd, keep, &pidfd);
    int saved = errno;
    (void)unsetenv(UPGRADE_TEST_ENV);
    if (result == 0) {
        aside_watch(&t->aside, m->loop, pidfd, limit_s, on_end);
        return 0;
    }
    (void)close(t->words_fd);
    errno = saved;
    return -1;
}
