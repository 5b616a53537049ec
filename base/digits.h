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

/* "00" to "99", one behind the other. */
extern const char digits_pairs[200];

/* 0 to 99 as two digits. */
static inline void digits_pair(char out[2], uint32_t v)
{
    memcpy(out, digits_pairs + 2 * (size_t)v, 2);
}

/* 0 to 999 as three digits, the first in the lowest byte: stays in a register. */
static inline uint32_t digits_three_of(uint32_t v)
{
    uint32_t hundreds = v * 41 >> 12; /* v / 100, for these */
    uint16_t pair;
    memcpy(&pair, digits_pairs + 2 * (size_t)(v - hundreds * 100), sizeof pair);
    return ('0' + hundreds) | (uint32_t)le16toh(pair) << 8;
}

static inline void digits_three(char out[3], uint32_t v)
{
    uint32_t all = htole32(digits_three_of(v));
    memcpy(out, &all, 3);
}

/* 1000 and more. */
char *digits_uint_long(char *out, uint64_t v);

/* Decimal, as long as it is; returns the end. out: DIGITS_UINT_MAX bytes. */
static inline char *digits_uint(char *out, uint64_t v)
{
    if (v < 10) { /* most are small */
        *out = (char)('0' + v);
        return out + 1;
    }
    if (v >= 1000)
        return digits_uint_long(out, v);
    uint32_t two = v < 100;
    uint32_t all = htole32(digits_three_of((uint32_t)v) >> 8 * two);
    memcpy(out, &all, sizeof all); /* a NUL behind it, or two: nobody's yet */
    return out + 3 - two;
}

#endif
