/*
 * conf/rows.h: one row per option: where it stands, type, default, bounds, help. Loading, unknown-key hints, `ballast show`,
 * GET /lb/config and docs/configuration.md come from these rows and from nothing else.
 */
#ifndef BALLAST_CONF_ROWS_H
#define BALLAST_CONF_ROWS_H

#include "conf/conf.h"

/* Names of the balancing algorithms that exist, NULL-terminated: the configuration layer cannot see worker/lb, so the names stand
 * here and a unit test of worker/lb holds both lists equal. */
extern const char *const conf_algorithms[];

#endif
