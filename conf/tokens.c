/* What may follow what in a configuration file: a state for each open brace, and a guess after each
 * mistake. */
#include <ctype.h>
#include <string.h>
#include "conf/prelex.h"

#define SHOWN 40

static struct prelex_frame *top(struct prelex *p)
{
    return &p->frames[p->depth];
}

/* A value is complete: what comes next? */
static void value_done(struct prelex_frame *f)
{
    f->expect = f->open == 0 || f->open == '{' ? EXPECT_KEY : EXPECT_COMMA;
}

static void emit_held_comma(struct prelex *p, struct conf_pos pos)
{
    if (p->comma_held)
        emit_token(p, pos, ",");
    p->comma_held = false;
}

/* Something that can only be a value arrives: brings the state there, with a message where
 * something is missing. */
static void expect_value(struct prelex *p, struct conf_pos pos, const char *what)
{
    struct prelex_frame *f = top(p);
    if (f->expect == EXPECT_EQUALS) {
        prelex_mistake(p, pos, "expected \"=\" after \"%.*s\"", SHOWN, p->key);
        emit_token(p, p->key_pos, "=");
    } else if (f->expect == EXPECT_COMMA) {
        prelex_mistake(p, pos, "expected \",\" before \"%.*s\"", SHOWN, what);
        p->comma_held = true;
    }
    emit_held_comma(p, pos);
    value_done(f);
}

void tokens_no_value(struct prelex *p)
{
    struct prelex_frame *f = top(p);
    if (f->expect != EXPECT_EQUALS && f->expect != EXPECT_VALUE)
        return;
    prelex_mistake(p, p->key_pos, "\"%.*s\" has no value", SHOWN, p->key);
    if (f->expect == EXPECT_EQUALS)
        emit_token(p, p->key_pos, "=");
    emit_token(p, p->key_pos, "0");
    f->expect = EXPECT_KEY;
}

static bool is_name(const char *s)
{
    if (!isalpha((unsigned char)*s))
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '_' && *s != '-')
            return false;
    return true;
}

/* Makes a unique name out of anything, for going on after a mistake. */
static const char *substitute_name(struct prelex *p)
{
    return arena_printf(p->scratch, "x-%u", p->count);
}

static void accept_key(struct prelex *p, struct conf_pos pos, const char *s)
{
    struct prelex_frame *f = top(p);
    p->key = arena_strdup(p->scratch, s);
    p->key_pos = pos;
    f->expect = EXPECT_EQUALS;
    const char *name = p->key;
    if (!is_name(s)) {
        prelex_mistake(p, pos,
                       "\"%.*s\" cannot be a name: a letter comes first, then letters, digits, _ "
                       "and -",
                       SHOWN, s);
        name = substitute_name(p);
    }
    uint32_t first = names_add(&p->keys, f->scope, name, p->count);
    if (first != NAMES_NONE) {
        prelex_mistake(p, pos, "\"%.*s\" is set twice; first at %s:%u", SHOWN, s,
                       p->places[first].file, p->places[first].line);
        name = substitute_name(p);
    }
    emit_token(p, pos, name);
    if (++f->keys <= PRELEX_KEYS_MAX)
        return;
    prelex_mistake(p, pos, "more than %u names in one group", PRELEX_KEYS_MAX);
    p->broken = p->stop = true;
}

void tokens_bare(struct prelex *p, struct conf_pos pos, const char *s)
{
    if (top(p)->expect == EXPECT_KEY) {
        accept_key(p, pos, s);
    } else {
        expect_value(p, pos, s);
        literal_emit(p, pos, s);
    }
    p->after_string = false;
}

void tokens_string(struct prelex *p, struct conf_pos pos, const char *s)
{
    if (top(p)->expect == EXPECT_KEY && !p->after_string) {
        prelex_mistake(p, pos, "a name is written without quotes: \"%.*s\"", SHOWN, s);
        accept_key(p, pos, s);
        return;
    }
    if (top(p)->expect != EXPECT_KEY) /* else two strings in a row: libconfig joins them */
        expect_value(p, pos, s);
    emit_string(p, pos, s);
    p->after_string = true;
}

void tokens_open(struct prelex *p, struct conf_pos pos, char c)
{
    char text[2] = {c, '\0'};
    p->after_string = false;
    if (top(p)->expect == EXPECT_KEY) {
        prelex_mistake(p, pos, "\"%c\" without a name: write NAME = %c", c, c);
        p->broken = true;
    } else {
        expect_value(p, pos, text);
    }
    if (top(p)->open == '[') {
        prelex_mistake(p, pos, "[ ] holds plain values: use ( ) for a list of groups");
        p->broken = true;
    }
    if (p->depth + 1 == PRELEX_DEPTH_MAX) {
        prelex_mistake(p, pos, "nested more than %u deep", PRELEX_DEPTH_MAX - 1);
        p->broken = p->stop = true;
        return;
    }
    emit_token(p, pos, text);
    p->frames[++p->depth] = (struct prelex_frame){
        .open = c, .expect = c == '{' ? EXPECT_KEY : EXPECT_ITEM, .scope = ++p->scopes, .pos = pos};
}

static char closing(char open)
{
    return open == '{' ? '}' : open == '[' ? ']' : ')';
}

/* A closing bracket of the wrong kind: which open one may it mean? */
static void close_wrong(struct prelex *p, struct conf_pos pos, char c)
{
    const struct prelex_frame *f = top(p);
    p->broken = true;
    if (p->depth <= p->base) {
        prelex_mistake(p, pos, "there is no open bracket for this \"%c\"", c);
        return;
    }
    prelex_mistake(p, pos, "\"%c\" does not close the \"%c\" of %s:%u", c, f->open, f->pos.file,
                   f->pos.line);
    for (unsigned depth = p->depth; depth > p->base; depth--) {
        if (closing(p->frames[depth].open) == c) {
            p->depth = depth - 1;
            return;
        }
    }
}

void tokens_close(struct prelex *p, struct conf_pos pos, char c)
{
    char text[2] = {c, '\0'};
    p->after_string = false;
    tokens_no_value(p);
    p->comma_held = false; /* a trailing one: libconfig 1.5 would refuse it */
    if (p->depth <= p->base || closing(top(p)->open) != c) {
        close_wrong(p, pos, c);
        return;
    }
    emit_token(p, pos, text);
    p->depth--;
}

void tokens_equals(struct prelex *p, struct conf_pos pos)
{
    p->after_string = false;
    if (top(p)->expect != EXPECT_EQUALS) {
        prelex_mistake(p, pos, "unexpected \"=\"");
        return;
    }
    emit_token(p, pos, "=");
    top(p)->expect = EXPECT_VALUE;
}

void tokens_separator(struct prelex *p, struct conf_pos pos, char c)
{
    struct prelex_frame *f = top(p);
    p->after_string = false;
    tokens_no_value(p);
    if (f->expect == EXPECT_KEY) /* between settings they mean nothing */
        return;
    if (f->expect == EXPECT_ITEM) {
        prelex_mistake(p, pos, "unexpected \"%c\"", c);
        return;
    }
    if (c == ';')
        prelex_mistake(p, pos, "elements are separated by \",\", not \";\"");
    p->comma_held = true;
    f->expect = EXPECT_ITEM;
}

void tokens_file_end(struct prelex *p)
{
    p->after_string = false;
    tokens_no_value(p);
    for (; p->depth > p->base; p->depth--) {
        prelex_mistake(p, top(p)->pos, "this \"%c\" is never closed", top(p)->open);
        p->broken = true;
    }
}
