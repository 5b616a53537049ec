/*
 * master/words.h: lines of words for files and messages to ourselves (state_file, an upgrade):
 * values are percent-encoded where they hold a space, a percent sign or a control character; a lone
 * "%" is the empty word.
 */
#ifndef BALLAST_MASTER_WORDS_H
#define BALLAST_MASTER_WORDS_H

#include <stdio.h>
#include "base/base.h"

void words_put(FILE *out, const char *word); /* with a space before it */
/* Cuts a line up in place and decodes it. The count, or -1: more than most, or not validly encoded.
 */
int words_split(char *line, char **words, int most) MUST_CHECK;
bool words_number(const char *word, uint64_t max, uint64_t *out) MUST_CHECK;

#endif
