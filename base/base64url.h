/*
 * base/base64url.h: base64 (RFC 4648), both alphabets, strict. Pure.
 */
#ifndef BALLAST_BASE_BASE64URL_H
#define BALLAST_BASE_BASE64URL_H

#include "base/base.h"

/* Decodes text of the URL alphabet without padding. The length, or 0: malformed, empty, or longer
 * than cap. */
size_t base64url_decode(const char *text, size_t len, unsigned char *out, size_t cap);
/* The same for the usual alphabet, with or without padding. */
size_t base64_decode(const char *text, size_t len, unsigned char *out, size_t cap);

#endif
