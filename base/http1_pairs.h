/*
 * base/http1_pairs.h: names and values inside a head: cookies (RFC 6265 4.2) and parameters of a
 * query (application/x-www-form-urlencoded). Pure.
 */
#ifndef BALLAST_BASE_HTTP1_PAIRS_H
#define BALLAST_BASE_HTTP1_PAIRS_H

#include "base/http1.h"

/* Is there a cookie of this name with this value? value NULL: with any. */
bool http1_cookie_is(const struct http1_head *h, const char *buf, const char *name,
                     const char *value);
/* The same for a parameter, both sides decoded (%XX, and + for a space). */
bool http1_query_is(const char *query, uint32_t len, const char *name, const char *value);

#endif
