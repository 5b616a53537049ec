/*
 * master/logs.h: the log's target and level, here and in the children, who cannot open files any
 * more.
 */
#ifndef BALLAST_MASTER_LOGS_H
#define BALLAST_MASTER_LOGS_H

#include "master/state.h"

/* Opens what the configuration says. 0, or -1 with errno. A daemon that should log to stderr logs
 * to syslog: nobody sees its stderr. */
int logs_open(struct master *m, const struct conf *conf) MUST_CHECK;
/* Can the target of a new configuration be opened? Reports a problem. */
int logs_check(struct master *m, const struct conf *conf, struct conf_errors *errors) MUST_CHECK;
/* A new generation serves: target and level follow, in all processes. */
void logs_follow(struct master *m, const struct conf *old);
void logs_reopen(struct master *m); /* SIGUSR1 */
/* Why the start fails: to the log, and to whoever is watching stderr when that is not the log. */
void logs_start_failed(const char *fmt, ...) PRINTF(1, 2);

#endif
