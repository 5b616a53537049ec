/* base/digits.c */
#include "base/digits.h"

/* Without a NUL at the end. */
const char digits_pairs[200] = "00010203040506070809"
                               "10111213141516171819"
                               "20212223242526272829"
                               "30313233343536373839"
                               "40414243444546474849"
                               "50515253545556575859"
                               "60616263646566676869"
                               "70717273747576777879"
                               "80818283848586878889"
                               "90919293949596979899";

char *digits_uint_long(char *out, uint64_t v)
{
    char text[DIGITS_UINT_MAX];
    uint32_t at = sizeof text;
    for (; v >= 100; v /= 100)
        digits_pair(text + (at -= 2), (uint32_t)(v % 100));
    if (v >= 10)
        digits_pair(text + (at -= 2), (uint32_t)v);
    else
        text[--at] = (char)('0' + v);
    memcpy(out, text + at, sizeof text - at);
    return out + (sizeof text - at);
}
