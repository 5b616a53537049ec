/*
 * cli/why.h: in words, why a backend gets no new requests whatever the others do, from the table
 * alone: so `ballast top` and `ballast explain` say the same, and of a dead instance too.
 */
#ifndef BALLAST_CLI_WHY_H
#define BALLAST_CLI_WHY_H

#include "shm/entry.h"

#define WHY_BYTES 128u

/* False, and "": it could be asked. */
bool why_out(const struct entry *e, char out[WHY_BYTES]);
/* "12s", "3m 5s", "2h 10m", "4d 2h" */
const char *why_age(uint64_t ms, char *out, size_t cap);

#endif
