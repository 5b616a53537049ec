/*
 * health/health.h: the health role: one process checks every backend once for the whole instance
 * and writes the observed word of its entry (enum entry_health) with what belongs to it. Nobody
 * else writes these words, and it writes no others.
 */
#ifndef BALLAST_HEALTH_HEALTH_H
#define BALLAST_HEALTH_HEALTH_H

#include "proc/role.h"

extern const struct role health_role;

#endif
