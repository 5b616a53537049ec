/*
 * base/http_date.h: dates of HTTP (RFC 9110 5.6.7): written in the preferred form, read in all
 * three that a recipient must accept. Pure; seconds since 1970.
 */
#ifndef BALLAST_BASE_HTTP_DATE_H
#define BALLAST_BASE_HTTP_DATE_H

#include "base/base.h"

#define HTTP_DATE_BYTES 30u /* "Sun, 06 Nov 1994 08:49:37 GMT" and a NUL */

/* False: no date of HTTP. now_s: decides the century of a year of two digits. */
bool http_date_parse(const char *s, size_t len, int64_t now_s, int64_t *out_s) MUST_CHECK;
/* Returns out. */
char *http_date_format(int64_t s, char out[HTTP_DATE_BYTES]);

#endif
