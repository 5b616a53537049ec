/*
 * base/digits.h: numbers as text, for what is written with every request: no libc call, few
 * branches. Nothing here ends with a NUL.
 */
#ifndef BALLAST_BASE_DIGITS_H
#define BALLAST_BASE_DIGITS_H

#include <endian.h>
#include <string.h>
#include "base/base.h"

#define DIGITS_UINT_MAX 20u /* of UINT64_MAX */

/* 32 bits as 8 digits, most significant first: each nibble gets a byte, all at once. */
static inline uint64_t digits_of_word(uint32_t v)
{
    uint64_t x = v;
    x = (x << 16 | x) & 0x0000ffff0000ffffu;
    x = (x << 8 | x) & 0x00ff00ff00ff00ffu;
    x = (x << 4 | x) & 0x0f0f0f0f0f0f0f0fu;
    uint64_t letters = (x + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    x += 0x3030303030303030u + letters * ('a' - '0' - 10);
    return htobe64(x); /* the most significant one is to be first */
}

/* 16 hexadecimal digits, lower case. */
static inline void digits_hex(char out[16], uint64_t v)
{
    uint64_t high = digits_of_word((uint32_t)(v >> 32)), low = digits_of_word((uint32_t)v);
    memcpy(out, &high, sizeof high);
    memcpy(out + 8, &low, sizeof low);
}

/* 0 to 99 as two digits. */
static inline void digits_pair(char out[2], uint32_t v)
{
    out[0] = (char)('0' + v / 10);
    out[1] = (char)('0' + v % 10);
}

/* 0 to 999 as three digits. */
static inline void digits_three(char out[3], uint32_t v)
{
    out[0] = (char)('0' + v / 100);
    digits_pair(out + 1, v % 100);
}

/* Decimal, as long as it is; returns the end. out: DIGITS_UINT_MAX bytes. */
static inline char *digits_uint(char *out, uint64_t v)
{
    char text[DIGITS_UINT_MAX];
    uint32_t at = sizeof text;
    if (v < 10) { /* most are small */
        *out = (char)('0' + v);
        return out + 1;
    }
    if (v < 1000) {
        digits_three(text, (uint32_t)v);
        memcpy(out, text + (v < 100), 3);
        return out + 2 + (v >= 100);
    }
    for (; v >= 100; v /= 100)
        digits_pair(text + (at -= 2), (uint32_t)(v % 100));
    if (v >= 10)
        digits_pair(text + (at -= 2), (uint32_t)v);
    else
        text[--at] = (char)('0' + v);
    memcpy(out, text + at, sizeof text - at);
    return out + (sizeof text - at);
}

#endif
