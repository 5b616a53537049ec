#include "worker/forged.h"

#include <string.h>
#include "base/cgi_name.h"

#define CERTIFICATE "x-client-cert-"

bool forged_spelling(const char *name, size_t len)
{
    static const char *const ours[] = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
                                       "x-real-ip", "x-request-id"};
    if (!memchr(name, '_', len))
        return false; /* spelled as it should be: known by its id */
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (strlen(ours[i]) == len && cgi_name_same(name, ours[i], len))
            return true;
    return len >= sizeof CERTIFICATE - 1 &&
           cgi_name_same(name, CERTIFICATE, sizeof CERTIFICATE - 1);
}
