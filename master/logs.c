#include "master/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "master/access_logs.h"
#include "master/processes.h"
#include "shm/events.h"

static enum log_level level_of(const struct master *m, const struct conf *conf)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    enum log_level level = LOG_LEVEL_INFO;
    for (uint32_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(conf->log.level, names[i]) == 0)
            level = (enum log_level)i;
    return m->options->debug ? LOG_LEVEL_DEBUG : level;
}

int logs_open(struct master *m, const struct conf *conf)
{
    bool unseen = m->options->daemon && strcmp(conf->log.target, "stderr") == 0;
    return log_open(unseen ? "syslog" : conf->log.target, level_of(m, conf));
}

static bool is_file(const struct conf *conf)
{
    return conf->log.target[0] == '/';
}

int logs_check(struct master *m, const struct conf *conf, struct conf_errors *errors)
{
    const char *old = m->current->conf->log.target;
    if (strcmp(old, conf->log.target) == 0)
        return 0;
    if (m->options->daemon && strcmp(conf->log.target, "stderr") == 0) {
        conf_errors_add(errors, (struct conf_pos){0},
                        "log.target: a running daemon has no stderr any more");
        return -1;
    }
    int fd = is_file(conf) ? open(conf->log.target, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640)
                           : -1;
    if (is_file(conf) && fd == -1) {
        conf_errors_add(errors, (struct conf_pos){0}, "log.target: cannot open %s: %s",
                        conf->log.target, strerror(errno));
        return -1;
    }
    if (fd != -1)
        (void)close(fd);
    return 0;
}

/* Files need the master's privileges: children get the descriptor. The other targets they open
 * themselves. */
static void hand_out(struct master *m)
{
    int fd = log_fd();
    struct ctl_msg msg = {.type = CTL_REOPEN, .fd_count = is_file(m->current->conf) ? 1 : 0};
    PROCESS_EACH(m, p)
    if (process_alive(p))
        process_send(p, &msg, &fd);
}

void logs_follow(struct master *m, const struct conf *old)
{
    const struct conf *conf = m->current->conf;
    log_set_level(level_of(m, conf));
    if (strcmp(old->log.target, conf->log.target) == 0)
        return;
    if (logs_open(m, conf) == -1)
        log_error("cannot log to %s: %s; the old target stays", conf->log.target, strerror(errno));
    else
        hand_out(m);
}

void logs_reopen(struct master *m)
{
    access_logs_reopen(m);
    if (logs_open(m, m->current->conf) == -1) {
        const char *why = strerror(errno);
        log_error("cannot reopen the log: %s; the old one stays", why);
        event_write(&m->table, INDEX_NONE, "reopen", "logs", NULL, "failed", why);
        return;
    }
    hand_out(m);
    event_write(&m->table, INDEX_NONE, "reopen", "logs", NULL, "reopened", NULL);
}

void logs_start_failed(const char *fmt, ...)
{
    char text[1024];
    va_list va;
    va_start(va, fmt);
    (void)vsnprintf(text, sizeof text, fmt, va);
    va_end(va);
    log_error("%s", text);
    if (log_fd() != STDERR_FILENO)
        (void)fprintf(stderr, "ballast: %s\n", text);
}
