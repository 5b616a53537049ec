/*
 * conf/suggest.h: the closest known name to one that is not known. Pure.
 */
#ifndef BALLAST_CONF_SUGGEST_H
#define BALLAST_CONF_SUGGEST_H

#include "base/base.h"

/* Feed it candidates; best is NULL while none is close enough. Candidates must outlive it. */
struct suggest {
    const char *wanted;
    const char *best;
    unsigned distance;
};

void suggest_init(struct suggest *s, const char *wanted);
void suggest_offer(struct suggest *s, const char *candidate);
/* Offers `candidate` when one of the space-separated words of `also` is the wanted one. */
void suggest_offer_alias(struct suggest *s, const char *candidate, const char *also);
/* Damerau-Levenshtein distance (optimal string alignment) of names of at most SUGGEST_NAME_MAX
 * bytes; longer ones are UINT32_MAX apart. Case and the difference of '-' and '_' cost nothing. */
#define SUGGEST_NAME_MAX 63u
unsigned suggest_distance(const char *a, const char *b);

#endif
