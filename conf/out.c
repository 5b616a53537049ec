#include "conf/out.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"

#define INDENT 4

void out_init(struct out *o, const struct conf *conf, bool is_json)
{
    *o = (struct out){.conf = conf, .is_json = is_json};
    if (is_json) {
        json_init(&o->json);
        json_object_begin(&o->json);
    }
}

static void append(struct out *o, const char *s, size_t len)
{
    if (o->len_bytes + len + 1 > o->cap_bytes) {
        size_t cap = (o->len_bytes + len + 1) * 2;
        char *buf = realloc(o->buf, cap);
        if (!buf) {
            log_error("out of memory: bytes=%zu", cap);
            abort();
        }
        o->buf = buf;
        o->cap_bytes = cap;
    }
    memcpy(o->buf + o->len_bytes, s, len);
    o->len_bytes += len;
    o->buf[o->len_bytes] = '\0';
}

void out_text(struct out *o, const char *fmt, ...)
{
    char small[256], *big = NULL;
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(small, sizeof small, fmt, args);
    if (len >= (int)sizeof small && vasprintf(&big, fmt, again) == -1)
        abort();
    va_end(again);
    va_end(args);
    append(o, big ? big : small, len < 0 ? 0 : (size_t)len);
    free(big);
}

char *out_finish(struct out *o)
{
    if (!o->is_json) {
        append(o, "", 0);
        return o->buf;
    }
    json_object_end(&o->json);
    const char *text = json_finish(&o->json, NULL);
    out_text(o, "%s", text);
    json_free(&o->json);
    return o->buf;
}

void out_free(struct out *o)
{
    if (o->is_json)
        json_free(&o->json);
    free(o->buf);
}

void out_reset(struct out *o)
{
    o->len_bytes = 0;
    append(o, "", 0);
}

/* ---- text ---- */

static void indent(struct out *o)
{
    static const char spaces[] = "                                ";
    for (unsigned left = o->depth * INDENT, n; left > 0; left -= n) {
        n = left < sizeof spaces - 1 ? left : (unsigned)sizeof spaces - 1;
        append(o, spaces, n);
    }
}

/* What stands before a value: separator or line start, and its key. */
static void begin_value(struct out *o, const char *key)
{
    if (o->flat && !o->first)
        append(o, ", ", 2);
    else if (!o->flat)
        indent(o);
    o->first = false;
    if (key) {
        append(o, key, strlen(key));
        append(o, " = ", 3);
    }
}

static void end_value(struct out *o)
{
    if (!o->flat)
        append(o, "\n", 1);
}

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c != 0x7f && c != '"' && c != '\\';
}

static void append_quoted(struct out *o, const char *s)
{
    append(o, "\"", 1);
    for (size_t n; *s; s += n) {
        for (n = 0; is_plain((unsigned char)s[n]); n++)
            ;
        append(o, s, n);
        if (n == 0) {
            unsigned char c = (unsigned char)*s;
            out_text(o, c == '"' || c == '\\' ? "\\%c" : "\\x%02x", c);
            n = 1;
        }
    }
    append(o, "\"", 1);
}

static void json_key_of(struct out *o, const char *key)
{
    if (key)
        json_key(&o->json, key);
}

/* ---- nesting ---- */

static void open_flat(struct out *o, const char *key, const char *bracket)
{
    begin_value(o, key);
    append(o, bracket, 2);
    o->flat++;
    o->first = true;
}

static void close_flat(struct out *o, char bracket)
{
    if (!o->first)
        append(o, " ", 1);
    append(o, &bracket, 1);
    o->flat--;
    o->first = false;
    end_value(o);
}

void out_flat_list(struct out *o, const char *key)
{
    if (!o->is_json) {
        open_flat(o, key, "( ");
        return;
    }
    json_key_of(o, key);
    json_array_begin(&o->json);
}

void out_flat_list_end(struct out *o)
{
    if (o->is_json)
        json_array_end(&o->json);
    else
        close_flat(o, ')');
}

void out_group(struct out *o, const char *key)
{
    if (o->is_json) {
        json_key_of(o, key);
        json_object_begin(&o->json);
        return;
    }
    if (key && !o->flat) {
        begin_value(o, key);
        append(o, "{\n", 2);
        o->depth++;
        return;
    }
    if (o->flat) {
        open_flat(o, key, "{ ");
        return;
    }
    /* an element of a list: on a line of its own */
    append(o, o->first ? "\n" : ",\n", o->first ? 1 : 2);
    begin_value(o, NULL);
    append(o, "{ ", 2);
    o->flat++;
    o->first = true;
}

void out_group_end(struct out *o)
{
    if (o->is_json) {
        json_object_end(&o->json);
    } else if (o->flat) {
        append(o, " }", 2);
        o->flat--;
        o->first = false;
    } else {
        o->depth--;
        begin_value(o, NULL);
        append(o, "}\n", 2);
    }
}

void out_list(struct out *o, const char *key)
{
    if (o->is_json) {
        json_key_of(o, key);
        json_array_begin(&o->json);
        return;
    }
    begin_value(o, key);
    append(o, "(", 1);
    o->depth++;
    o->first = true;
}

void out_list_end(struct out *o)
{
    if (o->is_json) {
        json_array_end(&o->json);
        return;
    }
    o->depth--;
    if (!o->first) {
        append(o, "\n", 1);
        begin_value(o, NULL);
    }
    append(o, ")\n", 2);
    o->first = false;
}

void out_array(struct out *o, const char *key)
{
    if (o->is_json) {
        json_key_of(o, key);
        json_array_begin(&o->json);
        return;
    }
    open_flat(o, key, "[ ");
}

void out_array_end(struct out *o)
{
    if (o->is_json) {
        json_array_end(&o->json);
        return;
    }
    close_flat(o, ']');
}

void out_tuple(struct out *o, const char *key)
{
    out_flat_list(o, key);
}

void out_tuple_end(struct out *o)
{
    out_flat_list_end(o);
}

/* ---- values ---- */

void out_string(struct out *o, const char *key, const char *value)
{
    if (o->is_json) {
        json_key_of(o, key);
        json_string(&o->json, value);
        return;
    }
    begin_value(o, key);
    append_quoted(o, value);
    end_value(o);
}

void out_number(struct out *o, const char *key, uint64_t value)
{
    if (o->is_json) {
        json_key_of(o, key);
        json_uint(&o->json, value);
        return;
    }
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    begin_value(o, key);
    append(o, digits + at, sizeof digits - at);
    end_value(o);
}

void out_factor(struct out *o, const char *key, uint64_t milli)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%" PRIu64 ".%03" PRIu64, milli / 1000, milli % 1000);
    while (len > 1 && text[len - 1] == '0')
        text[--len] = '\0';
    if (text[len - 1] == '.')
        text[len - 1] = '\0';
    if (o->is_json) {
        json_key_of(o, key);
        json_double(&o->json, (double)milli / 1000);
        return;
    }
    begin_value(o, key);
    out_text(o, "%s", text);
    end_value(o);
}

void out_bool(struct out *o, const char *key, bool value)
{
    if (o->is_json) {
        json_key_of(o, key);
        json_bool(&o->json, value);
        return;
    }
    begin_value(o, key);
    append(o, value ? "true" : "false", value ? 4 : 5);
    end_value(o);
}
