/*
 * worker/forged.h: fields by which a client would be taken for somebody else. What ballast itself
 * tells backends in X-Forwarded-For, X-Real-IP, X-Client-Cert-* and their like is written anew in
 * each request; a client's own is left out in any spelling that a program behind us may read as one
 * of these (base/cgi_name.h).
 */
#ifndef BALLAST_WORKER_FORGED_H
#define BALLAST_WORKER_FORGED_H

#include "base/http1.h"

/* Of names that begin with x, which all of ours do. */
bool forged_spelling(const char *name, size_t len);

static inline bool forged_field(const struct http1_header *f, const char *base)
{
    const char *name = base + f->name.off;
    return f->id == HTTP1_H_OTHER && UNLIKELY((*name | 0x20) == 'x') &&
           forged_spelling(name, f->name.len);
}

#endif
