#include "base/base64url.h"

static int value_of(char c, char last, char before)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == before ? 62 : c == last ? 63 : -1;
}

/* Bits left over at the end must be zero: one text for each value. */
static size_t decode(const char *text, size_t len, unsigned char *out, size_t cap, char before,
                     char last)
{
    size_t n = 0;
    uint32_t bits = 0, held = 0;
    if (len % 4 == 1)
        return 0;
    for (size_t i = 0; i < len; i++) {
        int v = value_of(text[i], last, before);
        if (v < 0)
            return 0;
        held = held << 6 | (uint32_t)v;
        bits += 6;
        if (bits < 8)
            continue;
        if (n == cap)
            return 0;
        bits -= 8;
        out[n++] = (unsigned char)(held >> bits);
        held &= (1u << bits) - 1;
    }
    return held ? 0 : n;
}

size_t base64url_decode(const char *text, size_t len, unsigned char *out, size_t cap)
{
    return decode(text, len, out, cap, '-', '_');
}

size_t base64_decode(const char *text, size_t len, unsigned char *out, size_t cap)
{
    if (len % 4 == 0 && len && text[len - 1] == '=')
        len -= text[len - 2] == '=' ? 2 : 1;
    return decode(text, len, out, cap, '+', '/');
}
