/*
 * conf/sticky_clash.h: pools whose inserted cookies have one name and path, and which one browser
 * meets on one host: each takes the other's for none of its own and overwrites it. A warning, not
 * an error: who sends a client only to one of them is well off.
 */
#ifndef BALLAST_CONF_STICKY_CLASH_H
#define BALLAST_CONF_STICKY_CLASH_H

#include "conf/walk.h"

/* Logs a warning for each such pool. The configuration is complete. */
void sticky_clash_warn(struct walk *w);

#endif
