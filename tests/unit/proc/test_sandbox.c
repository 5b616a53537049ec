/* A process in its sandbox: what it can still open. Each test runs in a process of its own. */
#include "tests/unit/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "proc/sandbox.h"

static char dir[] = "/tmp/ballast-sandbox-XXXXXX", file[64];

static void prepare(void)
{
    CHECK(mkdtemp(dir) != NULL);
    snprintf(file, sizeof file, "%s/file", dir);
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd != -1 && write(fd, "text", 4) == 4 && close(fd) == 0);
}

static void clear(void)
{
    (void)unlink(file);
    (void)rmdir(dir);
}

static int error_of(int rc)
{
    int error = rc == -1 ? errno : 0;
    if (rc > 2)
        (void)close(rc);
    return error;
}

/* Runs `what` in a process in that sandbox; its exit status. 77: this kernel has none. */
static int within(enum sandbox s, int (*what)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
            _exit(76);
        int version = sandbox_enter(s);
        _exit(version == 0 ? 77 : version == -1 ? 76 : what());
    }
    int status = -1;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The number of the first that is not so; 0: all are. */
#define EXPECT(number, condition)                                                                  \
    if (!(condition))                                                                              \
    return (number)

static int changes_nothing(void)
{
    char other[80];
    snprintf(other, sizeof other, "%s/other", dir);
    EXPECT(1, error_of(open(file, O_WRONLY | O_CLOEXEC)) == EACCES);
    EXPECT(2, error_of(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) == EACCES);
    EXPECT(3, error_of(unlink(file)) == EACCES);
    EXPECT(4, error_of(mkdir(other, 0700)) == EACCES);
    EXPECT(5, error_of(rename(file, other)) == EACCES);
    char name[] = "true", *argv[] = {name, NULL};
    EXPECT(6, error_of(execv("/bin/true", argv)) == EACCES);
    EXPECT(7, error_of((int)syscall(SYS_memfd_create, "m", 0)) == 0);
    return 0;
}

static int reads_only(void)
{
    EXPECT(10, error_of(open(file, O_RDONLY | O_CLOEXEC)) == 0);
    EXPECT(11, error_of(open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == 0);
    return changes_nothing();
}

static int reads_nothing(void)
{
    EXPECT(20, error_of(open(file, O_RDONLY | O_CLOEXEC)) == EACCES);
    EXPECT(21, error_of(open("/etc/passwd", O_RDONLY | O_CLOEXEC)) == EACCES);
    EXPECT(22, error_of(open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == EACCES);
    EXPECT(23, error_of(open("/proc/self/environ", O_RDONLY | O_CLOEXEC)) == EACCES);
    EXPECT(24, error_of(open("/usr/lib", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == 0);
    return changes_nothing();
}

static int opened_before = -1;

static int keeps_what_is_open(void)
{
    char text[4];
    EXPECT(30, pread(opened_before, text, 4, 0) == 4 && memcmp(text, "text", 4) == 0);
    EXPECT(31, pwrite(opened_before, "more", 4, 0) == 4 && ftruncate(opened_before, 2) == 0);
    return 0;
}

#define CHECK_WITHIN(s, what)                                                                      \
    do {                                                                                           \
        int status = within((s), (what));                                                          \
        CHECK(status == 0 || status == 77);                                                        \
        if (status != 0 && status != 77)                                                           \
            fprintf(stderr, "expectation %d\n", status);                                           \
    } while (0)

TEST(reads_but_changes_nothing)
{
    prepare();
    CHECK_WITHIN(SANDBOX_READ_ONLY, reads_only);
    clear();
}

TEST(opens_nothing)
{
    prepare();
    CHECK_WITHIN(SANDBOX_NO_FILES, reads_nothing);
    clear();
}

TEST(descriptors_stay)
{
    prepare();
    opened_before = open(file, O_RDWR | O_CLOEXEC);
    CHECK_WITHIN(SANDBOX_NO_FILES, keeps_what_is_open);
    (void)close(opened_before);
    clear();
}
