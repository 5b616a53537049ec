#include "tests/unit/harness.h"

#include <fcntl.h>
#include <regex.h>
#include <sys/socket.h>
#include "base/log.h"

static char path[64];

static void open_file(enum log_level level)
{
    snprintf(path, sizeof path, "/tmp/ballast-test-log.%d", (int)getpid());
    CHECK_EQ(log_open(path, level), 0);
}

static const char *read_file(void)
{
    static char text[1 << 16];
    int fd = open(path, O_RDONLY);
    ssize_t got = read(fd, text, sizeof text - 1);
    CHECK(fd != -1 && got >= 0);
    text[got] = 0;
    close(fd);
    unlink(path);
    return text;
}

static bool matches(const char *text, const char *pattern)
{
    regex_t re;
    CHECK_EQ(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool found = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    if (!found)
        fprintf(stderr, "%s\n  does not match %s\n", text, pattern);
    return found;
}

#define STAMP "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

TEST(a_line)
{
    open_file(LOG_LEVEL_INFO);
    log_set_role("worker 0");
    log_info("started pid=%d", 42);
    CHECK(matches(read_file(), "^" STAMP " level=info role=\"worker 0\" started pid=42\n$"));
}

TEST(levels_filter)
{
    open_file(LOG_LEVEL_WARNING);
    log_error("one");
    log_warning("two");
    log_info("three");
    log_debug("four");
    log_write(LOG_LEVEL_DEBUG, "five");
    log_set_level(LOG_LEVEL_DEBUG);
    CHECK_EQ(log_get_level(), LOG_LEVEL_DEBUG);
    log_debug("six");
    const char *text = read_file();
    CHECK(matches(
        text, "level=error [^\n]* one\n.*level=warning [^\n]* two\n.*level=debug [^\n]* six\n$"));
    CHECK(!strstr(text, "three") && !strstr(text, "four") && !strstr(text, "five"));
}

TEST(control_characters_cannot_forge_a_line)
{
    open_file(LOG_LEVEL_INFO);
    log_info("%s", "a\nb\r\tc\x1b[31m\x7f \xc3\xa9\x01");
    const char *text = read_file();
    CHECK(strstr(text, " a\\nb\\r\\tc\\x1b[31m\\x7f \xc3\xa9\\x01\n"));
    CHECK(strchr(text, '\n') == text + strlen(text) - 1);
}

TEST(a_long_message_is_cut_and_says_so)
{
    open_file(LOG_LEVEL_INFO);
    log_info("%9000d", 1);
    const char *text = read_file();
    CHECK(strlen(text) <= 4096);
    CHECK(strcmp(text + strlen(text) - 4, "...\n") == 0);
}

TEST(a_long_message_of_control_characters_ends_in_a_newline)
{
    char junk[4000];
    memset(junk, 1, sizeof junk);
    junk[sizeof junk - 1] = 0;
    open_file(LOG_LEVEL_INFO);
    log_info("%s", junk);
    const char *text = read_file();
    CHECK(strlen(text) <= 4096);
    CHECK_EQ(text[strlen(text) - 1], '\n');
}

TEST(errno_survives)
{
    CHECK_EQ(log_open("/dev/full", LOG_LEVEL_INFO), 0);
    errno = EXDEV;
    log_error("cannot be written");
    CHECK_EQ(errno, EXDEV);
}

TEST(a_target_that_cannot_be_opened_changes_nothing)
{
    open_file(LOG_LEVEL_INFO);
    int before = log_fd();
    CHECK_EQ(log_open("/nonexistent/dir/x.log", LOG_LEVEL_DEBUG), -1);
    CHECK_EQ(errno, ENOENT);
    CHECK_EQ(log_fd(), before);
    CHECK_EQ(log_get_level(), LOG_LEVEL_INFO);
    read_file();
}

TEST(a_new_descriptor_replaces_the_old_one)
{
    int pair[2];
    open_file(LOG_LEVEL_INFO);
    int old = log_fd();
    CHECK_EQ(pipe(pair), 0);
    log_set_fd(pair[1]);
    CHECK_EQ(fcntl(old, F_GETFD), -1);
    log_info("through the pipe");
    char text[256];
    ssize_t got = read(pair[0], text, sizeof text - 1);
    CHECK(got > 0);
    text[got] = 0;
    CHECK(strstr(text, "through the pipe\n"));
    read_file();
}

/* One line on a stderr that is a pipe, with JOURNAL_STREAM as given. */
static const char *line_on_stderr(const char *journal_stream)
{
    static char text[256];
    int pair[2], saved = dup(STDERR_FILENO);
    CHECK_EQ(pipe(pair), 0);
    unsetenv("JOURNAL_STREAM");
    if (journal_stream)
        setenv("JOURNAL_STREAM", journal_stream, 1);
    dup2(pair[1], STDERR_FILENO);
    log_error("boom");
    dup2(saved, STDERR_FILENO);
    ssize_t got = read(pair[0], text, sizeof text - 1);
    CHECK(got > 0);
    text[got] = 0;
    return text;
}

TEST(journald_gets_its_prefix)
{
    CHECK_EQ(log_open("stderr", LOG_LEVEL_INFO), 0);
    CHECK_EQ(log_fd(), STDERR_FILENO);
    CHECK(matches(line_on_stderr("8:12345"), "^<3>" STAMP " level=error "));
    CHECK(matches(line_on_stderr(NULL), "^" STAMP " level=error "));
}

TEST(no_prefix_in_files)
{
    setenv("JOURNAL_STREAM", "8:12345", 1);
    open_file(LOG_LEVEL_INFO);
    log_error("boom");
    CHECK(matches(read_file(), "^" STAMP));
}

/* A child that closed foreign descriptors and reused their numbers must not find log lines there.
 */
TEST(syslog_keeps_no_descriptor)
{
    int before = dup(0);
    close(before);
    CHECK_EQ(log_open("syslog", LOG_LEVEL_INFO), 0);
    CHECK_EQ(log_fd(), -1);
    log_info("a line to syslog, if there is one");
    CHECK_EQ(dup(0), before);
}

TEST(lines_of_many_processes_never_mix)
{
    enum { WRITERS = 4, LINES = 500 };
    open_file(LOG_LEVEL_INFO);
    for (int i = 0; i < WRITERS; i++) {
        if (fork() != 0)
            continue;
        char body[301];
        memset(body, 'a' + i, sizeof body);
        body[sizeof body - 1] = 0;
        for (int n = 0; n < LINES; n++)
            log_info("<%s>", body);
        _exit(0);
    }
    int status, lines = 0;
    while (wait(&status) > 0)
        CHECK_EQ(status, 0);
    char line[1024];
    FILE *f = fopen(path, "r");
    unlink(path);
    while (fgets(line, sizeof line, f)) {
        const char *start = strchr(line, '<');
        CHECK(start && strspn(start + 1, (char[]){start[1], 0}) == 300);
        CHECK_STR(start + 301, ">\n");
        lines++;
    }
    fclose(f);
    CHECK_EQ(lines, WRITERS * LINES);
}
