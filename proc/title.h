/*
 * proc/title.h: what ps shows. The kernel reads the command line from the area where argv was put
 * at exec; title_init (first thing in main) remembers it and moves the environment out of the way,
 * title_set overwrites it. Children inherit it.
 */
#ifndef BALLAST_PROC_TITLE_H
#define BALLAST_PROC_TITLE_H

#include "base/base.h"

void title_init(int argc, char **argv);
/* The arguments as they were given, NULL-terminated. NULL without memory or title_init. */
char **title_arguments(void);
/* "ballast: TEXT" in ps; without title_init only the short name changes. short_name: 15 bytes at
 * most, for top and pgrep. */
void title_set(const char *text, const char *short_name);

#endif
