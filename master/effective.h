/*
 * master/effective.h: the configuration that is served, as text (`ballast show`), in a memfd whose
 * number stands in the table's header: `ballast plan` compares a file with it, without asking
 * anybody. Secrets are not in it. Read through /proc/PID/fd by root and by who started the
 * instance.
 */
#ifndef BALLAST_MASTER_EFFECTIVE_H
#define BALLAST_MASTER_EFFECTIVE_H

#include "master/state.h"

void effective_publish(struct master *m); /* a generation serves */

#endif
