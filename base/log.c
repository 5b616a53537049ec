/*
 * base/log.c: see base/log.h. A line is put together on the stack and leaves in one write(2), so
 * lines of several processes on one descriptor never mix (O_APPEND files, pipes up to PIPE_BUF).
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>
#include "base/clock.h"

#define LINE_BYTES    4096 /* PIPE_BUF */
#define MESSAGE_BYTES 3072
#define TO_SYSLOG     (-1)

enum log_level log_level_now = LOG_LEVEL_INFO;

static struct {
    int fd;
    char role[40];
} state = {.fd = STDERR_FILENO, .role = "ballast"};

static const struct {
    const char *name;
    int priority; /* of syslog(3) and of journald's <N> prefix */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", LOG_ERR},
    [LOG_LEVEL_WARNING] = {"warning", LOG_WARNING},
    [LOG_LEVEL_INFO] = {"info", LOG_INFO},
    [LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

void log_set_fd(int fd)
{
    if (state.fd > STDERR_FILENO && state.fd != fd)
        close(state.fd);
    state.fd = fd;
}

int log_open(const char *target, enum log_level level)
{
    int fd;
    if (strcmp(target, "stderr") == 0) {
        fd = STDERR_FILENO;
    } else if (strcmp(target, "syslog") == 0) {
        fd = TO_SYSLOG;
    } else {
        fd = open(target, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
        if (fd == -1)
            return -1;
    }
    log_set_fd(fd);
    log_set_level(level);
    return 0;
}

int log_fd(void)
{
    return state.fd;
}

void log_set_level(enum log_level level)
{
    log_level_now = level;
}

enum log_level log_get_level(void)
{
    return log_level_now;
}

void log_set_role(const char *role)
{
    snprintf(state.role, sizeof state.role, "%s", role);
}

/* journald reads "<6>" at the start of a line as its priority. A terminal never does, whatever the
 * environment inherited. */
static bool wants_journal_prefix(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    return state.fd == STDERR_FILENO && stream && *stream && !isatty(STDERR_FILENO);
}

/* Appends text with control characters made visible: what the network sent must not forge lines or
 * drive a terminal. */
static size_t put_escaped(char *line, size_t at, size_t end, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        bool control = c < 0x20 || c == 0x7f;
        if (at + (control ? 4 : 1) > end)
            break;
        if (!control) {
            line[at++] = *p;
        } else if (c == '\n' || c == '\t' || c == '\r') {
            line[at++] = '\\';
            line[at++] = c == '\n' ? 'n' : c == '\t' ? 't' : 'r';
        } else {
            line[at++] = '\\';
            line[at++] = 'x';
            line[at++] = hex[c >> 4];
            line[at++] = hex[c & 15];
        }
    }
    return at;
}

static void send_to_syslog(enum log_level level, const char *text)
{
    char line[LINE_BYTES];
    size_t len = put_escaped(line, 0, sizeof line - 1, text);
    line[len] = 0;
    /* Connected per line: a child that closed foreign descriptors must never send a log line into
     * whatever got the number. */
    openlog("ballast", LOG_PID, LOG_DAEMON);
    syslog(levels[level].priority, "level=%s role=\"%s\" %s", levels[level].name, state.role, line);
    closelog();
}

static void send_to_fd(enum log_level level, const char *text)
{
    char line[LINE_BYTES], when[32], prefix[8] = "";
    if (wants_journal_prefix())
        snprintf(prefix, sizeof prefix, "<%d>", levels[level].priority & 7);
    int head = snprintf(line, sizeof line, "%s%s level=%s role=\"%s\" ", prefix,
                        clock_format_rfc3339(clock_wall_ms(), when, sizeof when),
                        levels[level].name, state.role);
    size_t len = put_escaped(line, (size_t)head, sizeof line - 1, text);
    line[len++] = '\n';
    ssize_t sent = write(state.fd, line, len);
    (void)sent; /* a log that cannot be written is nobody's to tell */
}

void log_write(enum log_level level, const char *fmt, ...)
{
    if (level > log_level_now)
        return;
    int saved_errno = errno;
    char text[MESSAGE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (len >= (int)sizeof text)
        memcpy(text + sizeof text - 4, "...", 4);
    if (state.fd == TO_SYSLOG)
        send_to_syslog(level, text);
    else
        send_to_fd(level, text);
    errno = saved_errno;
}
