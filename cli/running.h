/* cli/running.h: the configuration that a running instance serves, read from its master. */
#ifndef BALLAST_CLI_RUNNING_H
#define BALLAST_CLI_RUNNING_H

#include "cli/instance.h"
#include "conf/conf.h"

/* In the arena. NULL: said on stderr, in the name of the command. */
const struct conf *running_conf(const struct instance *i, struct arena *arena, const char *command);

#endif
