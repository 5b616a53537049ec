/*
 * base/cgi_name.h: names of header fields as CGI and its heirs read them (RFC 3875 4.1.18: WSGI,
 * Rack, PHP, FastCGI): in any case, and `_` is `-`. Who must not be able to send X-User must not be
 * able to send X_User either.
 */
#ifndef BALLAST_BASE_CGI_NAME_H
#define BALLAST_BASE_CGI_NAME_H

#include <ctype.h>
#include "base/base.h"

static inline int cgi_name_byte(char c)
{
    return c == '_' ? '-' : tolower((unsigned char)c);
}

/* Do these two names of this length mean the same there? */
static inline bool cgi_name_same(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (cgi_name_byte(a[i]) != cgi_name_byte(b[i]))
            return false;
    return true;
}

#endif
