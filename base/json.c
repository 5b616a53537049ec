/*
 * base/json.c: see base/json.h.
 */
#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"

#define DEPTH_MAX 63u /* bits of json.comma */

void json_init(struct json *j)
{
    *j = (struct json){0};
}

void json_free(struct json *j)
{
    free(j->buf);
    *j = (struct json){0};
}

static void reserve(struct json *j, size_t more)
{
    if (j->cap - j->len > more) /* one more for the NUL */
        return;
    size_t cap = j->cap ? j->cap * 2 : 512;
    while (cap - j->len <= more)
        cap *= 2;
    char *buf = realloc(j->buf, cap);
    if (!buf) {
        log_error("json: no memory: wanted_bytes=%zu", cap);
        abort();
    }
    j->buf = buf;
    j->cap = cap;
}

static void put(struct json *j, const char *s, size_t len)
{
    reserve(j, len);
    memcpy(j->buf + j->len, s, len);
    j->len += len;
}

static void put_char(struct json *j, char c)
{
    put(j, &c, 1);
}

const char *json_finish(struct json *j, size_t *len_out)
{
    assert(j->depth == 0 && !j->after_key);
    reserve(j, 0);
    j->buf[j->len] = 0;
    if (len_out)
        *len_out = j->len;
    return j->buf;
}

/* Before a key, or before a value that has none: the comma. */
static void separate(struct json *j)
{
    uint64_t bit = (uint64_t)1 << j->depth;
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    if (j->comma & bit) {
        assert(j->depth > 0); /* one value per text */
        put_char(j, ',');
    }
    j->comma |= bit;
}

static void begin(struct json *j, char bracket)
{
    separate(j);
    put_char(j, bracket);
    assert(j->depth < DEPTH_MAX);
    j->depth++;
    j->comma &= ~((uint64_t)1 << j->depth);
}

static void end(struct json *j, char bracket)
{
    assert(j->depth > 0 && !j->after_key);
    j->depth--;
    put_char(j, bracket);
}

void json_object_begin(struct json *j)
{
    begin(j, '{');
}

void json_object_end(struct json *j)
{
    end(j, '}');
}

void json_array_begin(struct json *j)
{
    begin(j, '[');
}

void json_array_end(struct json *j)
{
    end(j, ']');
}

/* Length of the well-formed UTF-8 sequence at s (RFC 3629: shortest form, no surrogates), 0 when
 * there is none. */
static size_t utf8_len(const unsigned char *s, size_t left)
{
    unsigned char c = s[0], low = 0x80, high = 0xbf;
    if (c < 0x80)
        return 1;
    size_t len = c >= 0xc2 && c <= 0xdf   ? 2
                 : c >= 0xe0 && c <= 0xef ? 3
                 : c >= 0xf0 && c <= 0xf4 ? 4
                                          : 0;
    if (len == 0 || len > left)
        return 0;
    if (c == 0xe0)
        low = 0xa0;
    else if (c == 0xed)
        high = 0x9f;
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

static void put_escape(struct json *j, unsigned char c)
{
    static const char letters[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    for (const char *p = letters; *p; p += 2)
        if ((unsigned char)p[0] == c) {
            char pair[2] = {'\\', p[1]};
            put(j, pair, 2);
            return;
        }
    char text[8];
    int len = snprintf(text, sizeof text, "\\u%04x", c);
    put(j, text, (size_t)len);
}

static void put_quoted(struct json *j, const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;
    put_char(j, '"');
    for (size_t i = 0, n; i < len; i += n) {
        n = utf8_len(p + i, len - i);
        if (n == 0) {
            put(j, "\xef\xbf\xbd", 3);
            n = 1;
        } else if (p[i] < 0x20 || p[i] == '"' || p[i] == '\\') {
            put_escape(j, p[i]);
        } else {
            put(j, s + i, n);
        }
    }
    put_char(j, '"');
}

void json_key(struct json *j, const char *key)
{
    assert(j->depth > 0 && !j->after_key);
    separate(j);
    put_quoted(j, key, strlen(key));
    put_char(j, ':');
    j->after_key = true;
}

void json_string(struct json *j, const char *s)
{
    if (s)
        json_string_n(j, s, strlen(s));
    else
        json_null(j);
}

void json_string_n(struct json *j, const char *s, size_t len)
{
    separate(j);
    put_quoted(j, s, len);
}

static void put_number(struct json *j, const char *fmt, ...) PRINTF(2, 3);
static void put_number(struct json *j, const char *fmt, ...)
{
    char text[32];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    separate(j);
    put(j, text, (size_t)len);
}

void json_uint(struct json *j, uint64_t v)
{
    put_number(j, "%llu", (unsigned long long)v);
}

void json_int(struct json *j, int64_t v)
{
    put_number(j, "%lld", (long long)v);
}

void json_double(struct json *j, double v)
{
    if (isfinite(v))
        put_number(j, "%.6g", v);
    else
        json_null(j);
}

void json_bool(struct json *j, bool v)
{
    separate(j);
    put(j, v ? "true" : "false", v ? 4 : 5);
}

void json_null(struct json *j)
{
    separate(j);
    put(j, "null", 4);
}

void json_kv_string(struct json *j, const char *key, const char *s)
{
    json_key(j, key);
    json_string(j, s);
}

void json_kv_uint(struct json *j, const char *key, uint64_t v)
{
    json_key(j, key);
    json_uint(j, v);
}

void json_kv_double(struct json *j, const char *key, double v)
{
    json_key(j, key);
    json_double(j, v);
}

void json_kv_bool(struct json *j, const char *key, bool v)
{
    json_key(j, key);
    json_bool(j, v);
}
