#include "base/uri_path.h"

#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Nothing to decode, to merge or to resolve: what nearly all paths are. */
static bool is_plain(const char *path, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        char c = path[i];
        if (c == '%' || c == ';' || c == '\\')
            return false;
        if (c == '/' && i + 1 < len && (path[i + 1] == '/' || path[i + 1] == '.'))
            return false;
    }
    return true;
}

/* ---- the literal reading ---- */

struct decoding {
    char *out;
    uint8_t *escaped;
    uint32_t len;
    bool any_escape, odd; /* odd: the plain reading may differ */
};

static int decode_escape(struct decoding *d, const char *at, uint32_t left)
{
    int high = left > 2 ? hex(at[1]) : -1, low = left > 2 ? hex(at[2]) : -1;
    if (high < 0 || low < 0 || (high == 0 && low == 0))
        return -1;
    char c = (char)(high << 4 | low);
    d->odd |= c == '/' || c == ';' || c == '\\' || c == '.';
    d->any_escape = true;
    d->escaped[d->len] = 1;
    d->out[d->len++] = c == '/' ? URI_PATH_SLASH : c;
    return 0;
}

static int decode(struct decoding *d, const char *path, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        char c = path[i];
        if (c == '%') {
            if (decode_escape(d, path + i, len - i) == -1)
                return -1;
            i += 2;
            continue;
        }
        d->odd |= c == ';' || c == '\\' ||
                  (c == '/' && i + 1 < len && (path[i + 1] == '/' || path[i + 1] == '.'));
        d->escaped[d->len] = 0;
        d->out[d->len++] = c;
    }
    return 0;
}

/* ---- the plain reading ---- */

struct segment {
    const char *at;
    const uint8_t *escaped;
    uint32_t len; /* without parameters */
    bool parameters;
    bool odd; /* an end of it is no plain slash */
    bool last;
};

static bool is_separator(char c)
{
    return c == '/' || c == URI_PATH_SLASH || c == '\\';
}

/* The segment behind the separator at `from`; returns the place of the next separator. */
static uint32_t cut(struct segment *s, const char *path, const uint8_t *escaped, uint32_t from,
                    uint32_t len)
{
    uint32_t begin = from + 1, end = begin;
    while (end < len && !is_separator(path[end]))
        end++;
    const char *semicolon = memchr(path + begin, ';', end - begin);
    s->at = path + begin;
    s->escaped = escaped + begin;
    s->parameters = semicolon != NULL;
    s->len = semicolon ? (uint32_t)(semicolon - s->at) : end - begin;
    s->last = end == len;
    s->odd = path[from] != '/' || (!s->last && path[end] != '/');
    return end;
}

static uint32_t dots(const struct segment *s)
{
    bool one = s->len == 1 && s->at[0] == '.';
    bool two = s->len == 2 && s->at[0] == '.' && s->at[1] == '.';
    return one ? 1 : two ? 2 : 0;
}

static bool any_escaped(const struct segment *s)
{
    return s->escaped[0] || (s->len > 1 && s->escaped[1]);
}

/* Removes the last segment of out, which ends with a slash. */
static uint32_t pop(const char *out, uint32_t len)
{
    for (len--; out[len - 1] != '/';)
        len--;
    return len;
}

/* The length of what was written, or 0: refuse it. */
static uint32_t resolve(const char *path, const uint8_t *escaped, uint32_t len, char *out)
{
    uint32_t n = 1, at = 0;
    bool empty_before = false;
    out[0] = '/';
    while (at < len) {
        struct segment s;
        at = cut(&s, path, escaped, at, len);
        uint32_t d = dots(&s);
        if (d && (s.odd || s.parameters || any_escaped(&s)))
            return 0;
        if (d == 2 && (n == 1 || empty_before))
            return 0;
        if (d == 2) {
            n = pop(out, n);
        } else if (d == 0 && s.len) {
            memcpy(out + n, s.at, s.len);
            n += s.len;
            if (!s.last)
                out[n++] = '/';
        }
        empty_before = s.len == 0;
    }
    return n;
}

int uri_path_read(struct uri_path *u, const char *path, uint32_t len, char *scratch)
{
    *u = (struct uri_path){path, len, path, len, NULL};
    if (is_plain(path, len))
        return 0;
    struct decoding d = {.out = scratch, .escaped = (uint8_t *)scratch + len};
    if (decode(&d, path, len) == -1)
        return -1;
    u->plain = u->literal = d.out;
    u->plain_len = u->literal_len = d.len;
    u->escaped = d.any_escape ? d.escaped : NULL;
    if (!d.odd)
        return 0;
    char *plain = scratch + 2 * (size_t)len;
    uint32_t plain_len = resolve(d.out, d.escaped, d.len, plain);
    if (plain_len == 0)
        return -1;
    if (plain_len != d.len || memcmp(plain, d.out, d.len) != 0) {
        u->plain = plain;
        u->plain_len = plain_len;
    }
    return 0;
}

/* ---- back to a URI ---- */

static bool is_unreserved(char c)
{
    char lower = (char)(c | 32);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~", c) != NULL);
}

uint32_t uri_path_write(const struct uri_path *u, uint32_t from, uint32_t len, char *out,
                        uint32_t cap)
{
    static const char digits[] = "0123456789ABCDEF";
    uint32_t n = 0;
    for (uint32_t i = from; i < from + len; i++) {
        char c = u->literal[i];
        bool escaped = u->escaped && u->escaped[i];
        bool as_it_is = is_unreserved(c) || (!escaped && c && strchr("/!$&'()*+,;=:@", c));
        if (cap - n < (as_it_is ? 1u : 3u))
            return UINT32_MAX;
        if (as_it_is) {
            out[n++] = c;
            continue;
        }
        uint8_t byte = c == URI_PATH_SLASH ? '/' : (uint8_t)c;
        out[n++] = '%';
        out[n++] = digits[byte >> 4];
        out[n++] = digits[byte & 15];
    }
    return n;
}
