/*
 * conf/regex.h: regular expressions (PCRE2, 8 bit, bytes): checked when a configuration is loaded,
 * compiled once per process and generation (compiled code needs malloc and executable memory, so it
 * cannot live in the configuration). `$` is the very end and `.` any byte: a line break in a path
 * ends nothing. Matching is bounded: what takes too many steps is an error, not a mismatch.
 */
#ifndef BALLAST_CONF_REGEX_H
#define BALLAST_CONF_REGEX_H

#include "base/base.h"

struct conf;
struct regex_set;

#define REGEX_GROUPS 10u /* the whole and $1 to $9 */

/* 0, with the number of groups; or -1 with a reason and its place in the pattern. */
int regex_check(const char *pattern, uint32_t *groups, uint32_t *offset, char *why,
                size_t why_cap) MUST_CHECK;

/* All of a configuration's; NULL with no memory. A configuration without any costs nothing. */
struct regex_set *regex_set_new(const struct conf *c) MUST_CHECK;
void regex_set_free(struct regex_set *s); /* NULL is fine */
/* How many groups matched, the whole first; their offsets, two each, are at *spans until the next
 * call (SIZE_MAX: that group took no part). 0: no match. -1: given up. */
int regex_match(const struct regex_set *s, uint32_t index, const char *subject, uint32_t len,
                const size_t **spans) MUST_CHECK;

#endif
