/*
 * cli/nearest.h: "did you mean": the closest known word by restricted Damerau-Levenshtein distance
 * (insert, delete, replace, swap two neighbours cost 1 each). Pure.
 */
#ifndef BALLAST_CLI_NEAREST_H
#define BALLAST_CLI_NEAREST_H

#include "base/base.h"

unsigned nearest_distance(const char *a, const char *b);
/* Is `candidate` closer to `word` than *best (start with UINT_MAX) and close enough to be meant?
 * Lowers *best when so. */
bool nearest_better(const char *word, const char *candidate, unsigned *best);

#endif
