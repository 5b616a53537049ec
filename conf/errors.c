#include "conf/conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void conf_errors_init(struct conf_errors *errors, struct arena *arena)
{
    *errors = (struct conf_errors){.arena = arena};
}

/* A message is one line, and moves no cursor: it may quote a file that holds anything. */
static char *clean(char *text)
{
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    return text;
}

static void append(struct conf_errors *errors, struct conf_pos pos, char *text)
{
    struct conf_error *e = ARENA_NEW(errors->arena, struct conf_error);
    e->text = clean(text);
    /* the file's name may belong to a configuration that is thrown away */
    e->pos.file = clean(arena_strdup(errors->arena, pos.file ? pos.file : ""));
    e->pos.line = pos.line;
    if (errors->last)
        errors->last->next = e;
    else
        errors->first = e;
    errors->last = e;
    errors->count++;
}

void conf_errors_add(struct conf_errors *errors, struct conf_pos pos, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    size_t cap = len < 0 ? 1 : (size_t)len + 1;
    char *text = arena_alloc(errors->arena, cap);
    va_start(args, fmt);
    vsnprintf(text, cap, fmt, args);
    va_end(args);
    append(errors, pos, text);
}

/* Writes one error at out (or only measures it when cap is 0); returns its length. */
static size_t format_one(const struct conf_error *e, char *out, size_t cap)
{
    int len;
    if (e->pos.line)
        len = snprintf(out, cap, "%s:%u: error: %s\n", e->pos.file, e->pos.line, e->text);
    else if (*e->pos.file)
        len = snprintf(out, cap, "%s: error: %s\n", e->pos.file, e->text);
    else
        len = snprintf(out, cap, "error: %s\n", e->text);
    return len < 0 ? 0 : (size_t)len;
}

const char *conf_errors_format(const struct conf_errors *errors)
{
    size_t total = 1;
    for (const struct conf_error *e = errors->first; e; e = e->next)
        total += format_one(e, NULL, 0);
    char *text = arena_alloc(errors->arena, total), *at = text;
    for (const struct conf_error *e = errors->first; e; e = e->next)
        at += format_one(e, at, total - (size_t)(at - text));
    return text;
}
