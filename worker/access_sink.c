/* worker/access_sink.c */
#include "worker/access_sink.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "worker/access_format.h"
#include "worker/account.h"

#define BUFFER_BYTES  (128u * 1024)
#define ENOUGH_BYTES  (64u * 1024) /* then it is written without waiting for the second to pass */
#define WARN_EVERY_US 60000000u
#define SYSLOG_PREFIX "<134>ballast: " /* facility local0, severity info */

struct access_buffer {
    uint64_t warned_us, retry_us;
    uint32_t len;
    bool torn; /* the file ends within a line of ours */
    char data[];
};

/* Says once a minute that lines are lost. */
static void complain(struct worker *w, struct access_buffer *b, int error)
{
    if (b->warned_us && w->now_us < b->warned_us + WARN_EVERY_US)
        return;
    b->warned_us = w->now_us;
    log_warning("access log: lines are lost: %s",
                error == EAGAIN ? "the reader is slow" : strerror(error));
}

static uint32_t count_lines(const char *at, uint32_t len)
{
    uint32_t n = 0;
    for (const char *end = at + len; (at = memchr(at, '\n', (size_t)(end - at))); at++)
        n++;
    return n;
}

/* The first len bytes are gone, written or lost. */
static void consume(struct access_buffer *b, uint32_t len)
{
    memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
}

static void lose_all(struct worker *w, struct access_buffer *b, int error)
{
    account_log_dropped(w, count_lines(b->data, b->len));
    b->len = 0;
    complain(w, b, error);
}

/* Whole lines, at most so many bytes of them; at least one line. */
static uint32_t piece(const struct access_buffer *b, uint32_t at, uint32_t most)
{
    if (b->len - at <= most)
        return b->len - at;
    const char *last = memrchr(b->data + at, '\n', most);
    return last ? (uint32_t)(last + 1 - (b->data + at)) : most;
}

static bool writable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    return poll(&p, 1, 0) == 1 && p.revents & POLLOUT;
}

static ssize_t send_datagram(int fd, const char *line, uint32_t len)
{
    char text[sizeof SYSLOG_PREFIX + ACCESS_LINE_BYTES];
    memcpy(text, SYSLOG_PREFIX, sizeof SYSLOG_PREFIX - 1);
    memcpy(text + sizeof SYSLOG_PREFIX - 1, line, len - 1); /* without its LF */
    ssize_t n = send(fd, text, sizeof SYSLOG_PREFIX - 1 + len - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n == -1 ? -1 : (ssize_t)len;
}

/* Writes some of what begins at `at`: bytes taken, or -1 with errno. */
static ssize_t write_some(const struct child_log *log, const struct access_buffer *b, uint32_t at)
{
    const char *from = b->data + at;
    switch (log->kind) {
    case CHILD_LOG_FILE: return write(log->fd, from, b->len - at);
    case CHILD_LOG_STREAM:
        return send(log->fd, from, piece(b, at, ACCESS_LINE_BYTES), MSG_DONTWAIT | MSG_NOSIGNAL);
    case CHILD_LOG_DATAGRAM:
        return send_datagram(log->fd, from,
                             (uint32_t)((char *)memchr(from, '\n', b->len - at) + 1 - from));
    case CHILD_LOG_BLOCKING:
        if (!writable(log->fd)) {
            errno = EAGAIN;
            return -1;
        }
        return write(log->fd, from, piece(b, at, ACCESS_LINE_BYTES));
    case CHILD_LOG_PIPE: return write(log->fd, from, piece(b, at, ACCESS_LINE_BYTES));
    case CHILD_LOG_NONE: break;
    }
    errno = EBADF;
    return -1;
}

/* A line of which a part was written is ended before the next one: the disk was full. */
static bool end_torn(const struct child_log *log, struct access_buffer *b)
{
    if (b->torn && log->kind == CHILD_LOG_FILE && write(log->fd, "\n", 1) == 1)
        b->torn = false;
    return !b->torn || log->kind != CHILD_LOG_FILE;
}

static void flush(struct worker *w, struct access_buffer *b, uint32_t sink)
{
    const struct child_log *log = child_log(sink);
    uint32_t at = 0;
    ssize_t n = end_torn(log, b) ? 0 : -1;
    while (n != -1 && at < b->len) {
        n = write_some(log, b, at);
        if (n == -1 && errno == EINTR)
            n = 0;
        if (n > 0)
            at += (uint32_t)n;
    }
    int error = n == -1 ? errno : 0;
    b->torn |= at > 0 && b->data[at - 1] != '\n' && log->kind == CHILD_LOG_FILE;
    if (error && at > 0 && b->data[at - 1] != '\n') /* the rest of a line that is lost */
        at += (uint32_t)((char *)memchr(b->data + at, '\n', b->len - at) + 1 - (b->data + at));
    consume(b, at);
    if (error && error != EAGAIN)
        lose_all(w, b, error);
}

static struct access_buffer *buffer_of(struct worker *w, uint32_t sink)
{
    if (sink >= CHILD_LOGS_MAX)
        return NULL;
    if (!w->access[sink] && (w->access[sink] = malloc(sizeof(struct access_buffer) + BUFFER_BYTES)))
        *w->access[sink] = (struct access_buffer){0};
    return w->access[sink];
}

char *access_sink_room(struct worker *w, uint32_t sink)
{
    struct access_buffer *b = buffer_of(w, sink);
    if (b && BUFFER_BYTES - b->len < ACCESS_LINE_BYTES)
        flush(w, b, sink);
    if (b && BUFFER_BYTES - b->len >= ACCESS_LINE_BYTES)
        return b->data + b->len;
    account_log_dropped(w, 1);
    if (b)
        complain(w, b, EAGAIN);
    return NULL;
}

void access_sink_added(struct worker *w, uint32_t sink, size_t len)
{
    struct access_buffer *b = w->access[sink];
    b->len += (uint32_t)len;
    if (b->len >= ENOUGH_BYTES && w->now_us >= b->retry_us) {
        flush(w, b, sink);
        /* A reader that is behind is not asked again for every line. */
        b->retry_us = b->len >= ENOUGH_BYTES ? w->now_us + 10000 : 0;
    }
}

void access_sink_flush_all(struct worker *w)
{
    for (uint32_t i = 0; i < CHILD_LOGS_MAX; i++)
        if (w->access[i] && w->access[i]->len)
            flush(w, w->access[i], i);
}
