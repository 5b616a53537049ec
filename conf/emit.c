/* The output side of the pre-lexer: tokens in libconfig's syntax, one a line. */
#include <stdio.h>
#include <string.h>
#include "conf/prelex.h"

static void reserve(struct prelex *p, size_t len)
{
    if (p->len_bytes + len + 1 <= p->cap_bytes)
        return;
    size_t cap = p->cap_bytes ? p->cap_bytes * 2 : 4096;
    while (cap < p->len_bytes + len + 1)
        cap *= 2;
    char *text = arena_alloc(p->scratch, cap);
    if (p->len_bytes)
        memcpy(text, p->text, p->len_bytes);
    p->text = text;
    p->cap_bytes = cap;
}

static void append(struct prelex *p, const char *s, size_t len)
{
    reserve(p, len);
    memcpy(p->text + p->len_bytes, s, len);
    p->len_bytes += len;
    p->text[p->len_bytes] = '\0';
}

static void end_line(struct prelex *p, struct conf_pos pos)
{
    append(p, "\n", 1);
    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 256;
        struct conf_pos *places = ARENA_ARRAY(p->scratch, struct conf_pos, p->cap);
        if (p->count)
            memcpy(places, p->places, p->count * sizeof *places);
        p->places = places;
    }
    p->places[p->count++] = pos;
}

void emit_token(struct prelex *p, struct conf_pos pos, const char *s)
{
    append(p, s, strlen(s));
    end_line(p, pos);
}

/* Only escapes that every release of libconfig reads alike. */
static void append_escaped(struct prelex *p, unsigned char c)
{
    char escape[8];
    int len;
    if (c == '"' || c == '\\')
        len = snprintf(escape, sizeof escape, "\\%c", c);
    else
        len = snprintf(escape, sizeof escape, "\\x%02x", c);
    append(p, escape, (size_t)len);
}

void emit_string(struct prelex *p, struct conf_pos pos, const char *s)
{
    append(p, "\"", 1);
    while (*s) {
        size_t plain = 0;
        while ((unsigned char)s[plain] >= ' ' && s[plain] != '"' && s[plain] != '\\' &&
               s[plain] != 0x7f)
            plain++;
        append(p, s, plain);
        s += plain;
        if (*s)
            append_escaped(p, (unsigned char)*s++);
    }
    append(p, "\"", 1);
    end_line(p, pos);
}
