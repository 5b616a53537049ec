/*
 * master/limits.h: what the host allows: descriptors, shared memory. Raised where possible,
 * explained where not.
 */
#ifndef BALLAST_MASTER_LIMITS_H
#define BALLAST_MASTER_LIMITS_H

#include "conf/conf.h"

void limits_raise_descriptors(const struct conf *conf);
void limits_check_memory(void);

#endif
