/* Words outside quotes where a value stands: numbers, booleans, and what people mean when they
 * write something else. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "conf/prelex.h"

#define SHOWN 60 /* bytes of a stranger's word in a message */

/* true and false, or what other programs call them. */
static bool emit_bool(struct prelex *p, struct conf_pos pos, const char *s)
{
    static const struct {
        const char *name, *value;
        bool right;
    } words[] = {{"true", "true", true}, {"false", "false", true}, {"yes", "true", false},
                 {"on", "true", false},  {"no", "false", false},   {"off", "false", false}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcasecmp(s, words[i].name) != 0)
            continue;
        if (!words[i].right)
            prelex_mistake(p, pos,
                           "%s is not a boolean: write %s (or \"%s\" where a word is meant)", s,
                           words[i].value, s);
        emit_token(p, pos, words[i].value);
        return true;
    }
    return false;
}

/* Length of the digits of a whole number after its sign, 0 when it is not one. *base: 10 or 16. */
static size_t count_digits(const char *s, unsigned *base)
{
    static const char hex[] = "0123456789abcdefABCDEF";
    *base = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 16 : 10;
    if (*base == 16)
        s += 2;
    size_t len = strspn(s, *base == 16 ? hex : "0123456789");
    const char *rest = s + len;
    if (strcmp(rest, "L") == 0 || strcmp(rest, "LL") == 0)
        rest += strlen(rest);
    return *rest ? 0 : len;
}

/* The number, or UINT64_MAX when it does not fit 32 bits. */
static uint64_t to_number(const char *digits, size_t len, unsigned base)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)digits[i];
        value = value * base + (c <= '9' ? c - (unsigned)'0' : (c | 0x20u) - 'a' + 10u);
        if (value > INT32_MAX)
            return UINT64_MAX;
    }
    return value;
}

static bool emit_integer(struct prelex *p, struct conf_pos pos, const char *s)
{
    const char *digits = s + (*s == '-' || *s == '+');
    unsigned base;
    size_t len = count_digits(digits, &base);
    if (len == 0)
        return false;
    if (base == 16)
        digits += 2;
    uint64_t value = to_number(digits, len, base);
    if (base == 10 && len > 1 && digits[0] == '0') {
        const char *plain = digits + strspn(digits, "0");
        prelex_mistake(p, pos, "%.*s begins with 0, which some read as octal: write %.*s", SHOWN, s,
                       SHOWN, *plain ? plain : "0");
    } else if (value == UINT64_MAX) {
        prelex_mistake(p, pos, "%.*s does not fit: a number is at most %d", SHOWN, s, INT32_MAX);
    }
    char text[16];
    snprintf(text, sizeof text, "%s%" PRIu64, *s == '-' ? "-" : "",
             value == UINT64_MAX ? INT32_MAX : value);
    emit_token(p, pos, text);
    return true;
}

static bool emit_fraction(struct prelex *p, struct conf_pos pos, const char *s)
{
    const char *at = s + (*s == '-' || *s == '+');
    size_t whole = strspn(at, "0123456789");
    at += whole;
    if (*at != '.')
        return false;
    size_t part = strspn(++at, "0123456789");
    if (whole == 0 || part == 0 || at[part] || strlen(s) > SHOWN)
        return false;
    emit_token(p, pos, s);
    return true;
}

void literal_emit(struct prelex *p, struct conf_pos pos, const char *s)
{
    if (emit_bool(p, pos, s) || emit_integer(p, pos, s) || emit_fraction(p, pos, s))
        return;
    prelex_mistake(p, pos, "%.*s must be quoted: \"%.*s\"", SHOWN, s, SHOWN, s);
    emit_string(p, pos, s);
}
