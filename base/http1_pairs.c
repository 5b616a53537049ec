#include "base/http1_pairs.h"

#include <string.h>

/* ---- cookies ---- */

static bool is_pair(const char *at, const char *end, const char *name, const char *value)
{
    const char *equals = memchr(at, '=', (size_t)(end - at));
    size_t name_len = strlen(name);
    if (!equals || (size_t)(equals - at) != name_len || memcmp(at, name, name_len) != 0)
        return false;
    size_t len = (size_t)(end - equals) - 1;
    return !value || (strlen(value) == len && memcmp(equals + 1, value, len) == 0);
}

static bool field_has(const char *at, const char *end, const char *name, const char *value)
{
    while (at < end) {
        while (at < end && (*at == ' ' || *at == '\t' || *at == ';'))
            at++;
        const char *stop = memchr(at, ';', (size_t)(end - at));
        if (!stop)
            stop = end;
        if (is_pair(at, stop, name, value))
            return true;
        at = stop;
    }
    return false;
}

bool http1_cookie_is(const struct http1_head *h, const char *buf, const char *name,
                     const char *value)
{
    for (uint32_t i = 0; i < h->count && h->present & 1ull << HTTP1_H_COOKIE; i++) {
        const struct http1_header *f = &h->headers[i];
        const char *at = buf + f->value.off;
        if (f->id == HTTP1_H_COOKIE && field_has(at, at + f->value.len, name, value))
            return true;
    }
    return false;
}

/* ---- the query ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The decoded character at *at; moves behind it. What is no escape stands for itself. */
static char next(const char **at, const char *end)
{
    const char *c = *at;
    int high = end - c > 2 && *c == '%' ? hex(c[1]) : -1, low = high >= 0 ? hex(c[2]) : -1;
    *at = low >= 0 ? c + 3 : c + 1;
    if (low >= 0)
        return (char)(high << 4 | low);
    return (char)(*c == '+' ? ' ' : *c);
}

static bool decodes_to(const char *at, const char *end, const char *text)
{
    while (at < end)
        if (!*text || next(&at, end) != *text++)
            return false;
    return *text == '\0';
}

bool http1_query_is(const char *query, uint32_t len, const char *name, const char *value)
{
    const char *end = query + len, *stop;
    for (const char *at = query; at < end; at = stop + 1) {
        stop = memchr(at, '&', (size_t)(end - at));
        if (!stop)
            stop = end;
        const char *equals = memchr(at, '=', (size_t)(stop - at));
        const char *name_end = equals ? equals : stop;
        if (decodes_to(at, name_end, name) &&
            (!value || decodes_to(equals ? equals + 1 : stop, stop, value)))
            return true;
    }
    return false;
}
