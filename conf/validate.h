/*
 * conf/validate.h: what no single row can see: settings that contradict each other, and defaults
 * that follow from others.
 */
#ifndef BALLAST_CONF_VALIDATE_H
#define BALLAST_CONF_VALIDATE_H

#include "conf/walk.h"

/* Settles the health type of pools that did not say it. */
void validate_derive(struct conf *c);
/* Adds to w->errors. The configuration may be incomplete: what was refused before is not there. */
void validate_conf(struct walk *w);

#endif
