/*
 * tests/unit/harness.h: the unit test harness; include it in exactly one file per test program, it
 * brings main().
 *
 *   TEST(name) { CHECK(x); CHECK_EQ(a, b); CHECK_STR(a, b); }
 *
 * Each test runs in a process of its own, in a process group of its own, and is killed with
 * everything it forked when it ends or when TEST_DEADLINE_S seconds have passed. A failed check
 * ends its test. SKIP(reason) ends it too, counted apart. Arguments: only tests whose name contains
 * one of them run; -l lists. Exit status 1 when a test failed or none ran.
 */
#ifndef BALLAST_TESTS_HARNESS_H
#define BALLAST_TESTS_HARNESS_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef TEST_DEADLINE_S
#define TEST_DEADLINE_S 120u
#endif
#define HARNESS_SKIPPED 77

struct harness_test {
    const char *name;
    void (*run)(void);
    struct harness_test *next;
};
static struct harness_test *harness_first, **harness_last = &harness_first;

#define TEST(name_)                                                                                \
    static void test_##name_(void);                                                                \
    static struct harness_test harness_##name_ = {#name_, test_##name_, NULL};                     \
    __attribute__((constructor)) static void register_##name_(void)                                \
    {                                                                                              \
        *harness_last = &harness_##name_;                                                          \
        harness_last = &harness_##name_.next;                                                      \
    }                                                                                              \
    static void test_##name_(void)

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x))                                                                                  \
            harness_fail(__FILE__, __LINE__, "CHECK(" #x ") is false");                            \
    } while (0)
#define CHECK_EQ(a, b)                                                                             \
    harness_check_eq(__FILE__, __LINE__, #a " == " #b, (long long)(a), (long long)(b))
#define CHECK_STR(a, b) harness_check_str(__FILE__, __LINE__, "CHECK_STR(" #a ", " #b ")", (a), (b))
#define SKIP(reason)    harness_skip(reason)

__attribute__((noreturn, unused)) static void harness_fail(const char *file, int line,
                                                           const char *what)
{
    fprintf(stderr, "%s:%d: %s (errno %d %s)\n", file, line, what, errno, strerror(errno));
    fflush(NULL);
    _exit(1);
}

__attribute__((noreturn, unused)) static void harness_skip(const char *reason)
{
    fprintf(stderr, "skipped: %s\n", reason);
    fflush(NULL);
    _exit(HARNESS_SKIPPED);
}

__attribute__((unused)) static void harness_check_eq(const char *file, int line, const char *what,
                                                     long long a, long long b)
{
    char text[512];
    if (a == b)
        return;
    snprintf(text, sizeof text, "CHECK_EQ(%s): %lld (0x%llx) against %lld (0x%llx)", what, a,
             (unsigned long long)a, b, (unsigned long long)b);
    harness_fail(file, line, text);
}

__attribute__((unused)) static void harness_check_str(const char *file, int line, const char *what,
                                                      const char *a, const char *b)
{
    if (a == b || (a && b && strcmp(a, b) == 0))
        return;
    fprintf(stderr, "    \"%s\"\n    \"%s\"\n", a ? a : "(null)", b ? b : "(null)");
    harness_fail(file, line, what);
}

/* Runs one test in a child; returns its wait status. */
static int harness_run(const struct harness_test *t)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == -1) {
        perror("fork");
        exit(1);
    }
    if (pid == 0) {
        setpgid(0, 0);
        alarm(TEST_DEADLINE_S);
        t->run();
        exit(0); /* runs LeakSanitizer, when it is linked in */
    }
    setpgid(pid, pid);
    int status = 0;
    while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
        ;
    kill(-pid, SIGKILL); /* what the test left behind */
    return status;
}

static int harness_wanted(const struct harness_test *t, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strstr(t->name, argv[i]))
            return 1;
    return argc < 2;
}

static void harness_explain(const struct harness_test *t, int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        printf("FAIL %s: not finished after %u s\n", t->name, TEST_DEADLINE_S);
    else if (WIFSIGNALED(status))
        printf("FAIL %s: killed by signal %d (%s)\n", t->name, WTERMSIG(status),
               strsignal(WTERMSIG(status)));
    else
        printf("FAIL %s: exit status %d\n", t->name, WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0, skipped = 0;
    int list = argc > 1 && strcmp(argv[1], "-l") == 0;
    for (const struct harness_test *t = harness_first; t; t = t->next) {
        if (list)
            puts(t->name);
        if (list || !harness_wanted(t, argc, argv))
            continue;
        int status = harness_run(t);
        if (status == 0)
            passed++;
        else if (WIFEXITED(status) && WEXITSTATUS(status) == HARNESS_SKIPPED)
            skipped++;
        else {
            failed++;
            harness_explain(t, status);
        }
    }
    if (list)
        return 0;
    printf("%u passed, %u failed", passed, failed);
    if (skipped)
        printf(", %u skipped", skipped);
    putchar('\n');
    return failed > 0 || passed + skipped == 0;
}

#endif
