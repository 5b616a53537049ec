/*
 * master/options.h: the command line of `ballast run`: a file, or flags that stand for one.
 */
#ifndef BALLAST_MASTER_OPTIONS_H
#define BALLAST_MASTER_OPTIONS_H

#include "base/arena.h"
#include "master/master.h"

enum options_result { OPTIONS_OK, OPTIONS_HELP, OPTIONS_WRONG };

/* argv[0] is the command. Texts that have to be made live in the arena. A mistake is said on
 * stderr. */
enum options_result options_parse(int argc, char **argv, struct arena *arena,
                                  struct master_options *out) MUST_CHECK;

#endif
