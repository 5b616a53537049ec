/*
 * conf/health.h: what of a set of health checks can be judged only when all of it is known: the
 * type decides what `expect` means and which settings mean anything.
 */
#ifndef BALLAST_CONF_HEALTH_H
#define BALLAST_CONF_HEALTH_H

#include "conf/walk.h"

#define HEALTH_KIND(type)    (1u << (type))
#define HEALTH_IN_TLS        (1u << 31) /* beside the type's */
#define HEALTH_HEADERS_BYTES 2048u
#define HEALTH_EXPECT_WANTED "statuses such as \"200\", \"200-299\" or \"200,204\""

/* After the types are derived: expectations are parsed, and what makes no sense is an error. */
void health_resolve(struct walk *w, struct conf *c);

#endif
