/*
 * base/log.h: the diagnostic log. One line per event: level, role, message, key=value pairs written
 * by the caller. Runs in every process. The target is opened by the master (log_open) and
 * inherited; children get new descriptors over the control channel after USR1 (log_set_fd). error =
 * act; warning = degraded; info = one line per life-cycle event; debug = per connection. Never
 * blocks on a full pipe longer than one write(2).
 */
#ifndef BALLAST_BASE_LOG_H
#define BALLAST_BASE_LOG_H

#include "base/base.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* target: "stderr", "syslog" or an absolute path. Returns 0, or -1 with errno set (the old target
 * stays). */
int log_open(const char *target, enum log_level level) MUST_CHECK;
/* Replaces the descriptor written to (takes ownership of fd). */
void log_set_fd(int fd);
/* The descriptor in use (2 for stderr), -1 for syslog. */
int log_fd(void);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* Shown in every line: "master", "worker 0". Copied. */
void log_set_role(const char *role);

void log_write(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

extern enum log_level log_level_now; /* read by the macros only */

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)                                                                              \
    do {                                                                                           \
        if (log_level_now >= LOG_LEVEL_INFO)                                                       \
            log_write(LOG_LEVEL_INFO, __VA_ARGS__);                                                \
    } while (0)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_level_now >= LOG_LEVEL_DEBUG)                                                      \
            log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                               \
    } while (0)

#endif
