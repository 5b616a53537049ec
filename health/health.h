/* health/health.h: the health role: one process checks every backend once for the whole instance and writes the observed word. */
#ifndef BALLAST_HEALTH_HEALTH_H
#define BALLAST_HEALTH_HEALTH_H
#include "proc/role.h"
extern const struct role health_role;
#endif
