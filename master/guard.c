#include "master/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "master/upgrade.h"
#include "proc/title.h"

#define LIMIT_S     60u /* to get all of its processes ready */
#define STACK_BYTES (64u * 1024)

static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGSYS, SIGALRM};

/* Everything that is needed when nothing can be relied on any more. */
static struct {
    pid_t pid; /* 0: not guarded. Children inherit the handlers, but are somebody else */
    const struct takeover *takeover;
    int letter_fd;
    char path[32], variable[48];
    char **arguments, **environment;
    struct sigaction before[ARRAY_LEN(fatal)];
} guard;

/* Only calls that a signal handler may make. */
void guard_go_back(void)
{
    if (guard.pid != getpid()) {
        errno = ENOENT;
        return;
    }
    (void)alarm(0);
    for (uint32_t i = 0; i < guard.takeover->fd_count; i++)
        (void)fcntl(guard.takeover->fds[i], F_SETFD, 0);
    (void)fcntl(guard.letter_fd, F_SETFD, 0);
    (void)execve(guard.path, guard.arguments, guard.environment);
}

static void on_fatal(int number)
{
    static const char text[] = "ballast: the new program crashed: back to the old one\n";
    if (guard.pid == getpid()) {
        (void)!write(STDERR_FILENO, text, sizeof text - 1);
        guard_go_back();
    }
    (void)raise(number); /* the handler is gone (SA_RESETHAND) */
}

/* A copy, in which the letter's number is another one. */
static char **copy_environment(void)
{
    size_t count = 0, kept = 0;
    while (environ[count] != NULL)
        count++;
    char **copy = calloc(count + 2, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++)
        if (strncmp(environ[i], UPGRADE_ENV "=", strlen(UPGRADE_ENV) + 1) != 0)
            copy[kept++] = environ[i];
    if (copy != NULL)
        copy[kept] = guard.variable;
    return copy;
}

/* The same letter, but for the word that it is sent back. */
static int write_back_letter(char *letter)
{
    char *flag = strstr(letter, "\nback 0\n");
    if (flag == NULL)
        return -1;
    flag[strlen("\nback ")] = '1';
    return upgrade_write_letter(letter);
}

static void catch_signals(void)
{
    static char stack[STACK_BYTES];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    /* SA_NODEFER: a blocked signal would stay blocked over exec */
    struct sigaction act = {.sa_handler = on_fatal,
                            .sa_flags = (int)(SA_ONSTACK | SA_RESETHAND | SA_NODEFER)};
    (void)sigaltstack(&alternate, NULL);
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
        (void)sigaction(fatal[i], &act, &guard.before[i]);
    (void)alarm(LIMIT_S);
}

void guard_begin(struct master *m)
{
    struct takeover *t = &m->takeover;
    if (t->rehearsal || t->back || t->old_fd == -1)
        return;
    guard.takeover = t;
    guard.letter_fd = write_back_letter(t->letter);
    (void)snprintf(guard.path, sizeof guard.path, "/proc/self/fd/%d", t->old_fd);
    (void)snprintf(guard.variable, sizeof guard.variable, UPGRADE_ENV "=%d", guard.letter_fd);
    guard.arguments = title_arguments();
    guard.environment = copy_environment();
    if (guard.letter_fd == -1 || guard.arguments == NULL || guard.environment == NULL) {
        log_warning("upgrade: nothing would bring the old program back: error=\"%s\"",
                    strerror(errno));
        return;
    }
    (void)fcntl(guard.letter_fd, F_SETFD, FD_CLOEXEC);
    guard.pid = getpid();
    catch_signals();
}

void guard_end(void)
{
    if (guard.pid == 0)
        return;
    (void)alarm(0);
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
        (void)sigaction(fatal[i], &guard.before[i], NULL);
    guard.pid = 0;
    (void)close(guard.letter_fd);
    free(guard.environment);
}
