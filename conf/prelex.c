#include "conf/prelex.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One file being read. */
struct scan {
    struct prelex *p;
    const char *at, *end;
    struct conf_pos pos;
};

void prelex_init(struct prelex *p, struct arena *scratch, struct conf_errors *errors)
{
    *p = (struct prelex){.scratch = scratch, .errors = errors, .text = arena_strdup(scratch, "")};
    names_init(&p->keys, scratch);
}

void prelex_mistake(struct prelex *p, struct conf_pos pos, const char *fmt, ...)
{
    if (p->mistakes++ >= PRELEX_ERRORS_MAX)
        return;
    if (p->mistakes == PRELEX_ERRORS_MAX) {
        conf_errors_add(p->errors, pos, "too many errors: is this a configuration file?");
        p->broken = p->stop = true;
        return;
    }
    va_list args;
    va_start(args, fmt);
    char text[512];
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    conf_errors_add(p->errors, pos, "%s", text);
}

static int peek(const struct scan *s, size_t ahead)
{
    return (size_t)(s->end - s->at) > ahead ? (unsigned char)s->at[ahead] : -1;
}

static void skip_line(struct scan *s)
{
    while (s->at < s->end && *s->at != '\n')
        s->at++;
}

static void skip_block_comment(struct scan *s)
{
    struct conf_pos opened = s->pos;
    for (s->at += 2; s->at < s->end; s->at++) {
        if (*s->at == '\n')
            s->pos.line++;
        if (*s->at == '*' && peek(s, 1) == '/') {
            s->at += 2;
            return;
        }
    }
    prelex_mistake(s->p, opened, "this comment is never closed");
    s->p->broken = true;
}

/* White space and comments. False: nothing of the kind here. */
static bool skip_blank(struct scan *s)
{
    int c = peek(s, 0), next = peek(s, 1);
    if (c == '\n')
        s->pos.line++;
    if (c == '\n' || c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v')
        s->at++;
    else if (c == '#' || (c == '/' && next == '/'))
        skip_line(s);
    else if (c == '/' && next == '*')
        skip_block_comment(s);
    else
        return false;
    return true;
}

static int hex_value(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    int lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The character that the escape at s->at (after the backslash) stands for; 0 after a complaint. */
static char read_escape(struct scan *s)
{
    static const char from[] = "\\\"nrtf", to[] = "\\\"\n\r\t\f";
    int c = peek(s, 0);
    const char *found = c > 0 ? strchr(from, c) : NULL;
    if (found) {
        s->at++;
        return to[found - from];
    }
    int high = hex_value(peek(s, 1)), low = high < 0 ? -1 : hex_value(peek(s, 2));
    if (c == 'x' && low >= 0 && high + low > 0) {
        s->at += 3;
        return (char)(high * 16 + low);
    }
    prelex_mistake(s->p, s->pos,
                   "unknown escape in a string: there are \\\\ \\\" \\n \\r \\t \\f \\xHH");
    return 0;
}

/* Bytes up to the quote that closes the string, or to the end of the line. */
static size_t string_span(const struct scan *s)
{
    const char *at = s->at + 1;
    for (; at < s->end && *at != '"' && *at != '\n'; at++)
        if (*at == '\\' && at + 1 < s->end && at[1] != '\n')
            at++;
    return (size_t)(at - s->at);
}

static void scan_string(struct scan *s)
{
    char *text = arena_alloc(s->p->scratch, string_span(s) + 1), *out = text;
    for (s->at++; s->at < s->end && *s->at != '"' && *s->at != '\n';) {
        char c = *s->at++;
        if (c == '\\' && s->at < s->end && *s->at != '\n')
            c = read_escape(s);
        if (c)
            *out++ = c;
    }
    if (peek(s, 0) == '"')
        s->at++;
    else
        prelex_mistake(s->p, s->pos, "this quote is not closed on its line");
    tokens_string(s->p, s->pos, text);
}

/* Is the word before s->at a name, as "=" after it says? */
static bool is_before_equals(const struct scan *s)
{
    return s->at[strspn(s->at, " \t")] == '=';
}

/* A word outside quotes. Where a value stands it takes all that somebody may have forgotten to
 * quote. */
static bool scan_bare(struct scan *s)
{
    enum prelex_expect expect = s->p->frames[s->p->depth].expect;
    bool key = expect == EXPECT_KEY;
    const char *more = key ? "_-.*" : "_-.*+/%:@$~<>?!&|^\\`";
    const char *from = s->at;
    while (s->at < s->end && *s->at) {
        if (*s->at == '/' && (peek(s, 1) == '/' || peek(s, 1) == '*'))
            break;
        if (!isalnum((unsigned char)*s->at) && (unsigned char)*s->at < 0x80 &&
            !strchr(more, *s->at))
            break;
        s->at++;
    }
    if (s->at == from)
        return false;
    if ((expect == EXPECT_VALUE || expect == EXPECT_EQUALS) && is_before_equals(s))
        tokens_no_value(s->p);
    tokens_bare(s->p, s->pos, arena_strndup(s->p->scratch, from, (size_t)(s->at - from)));
    return true;
}

static void scan_include(struct scan *s)
{
    static const char word[] = "@include";
    struct conf_pos pos = s->pos;
    s->at += sizeof word - 1;
    while (peek(s, 0) == ' ' || peek(s, 0) == '\t')
        s->at++;
    const char *name = s->at + 1;
    size_t len = peek(s, 0) == '"' ? strcspn(name, "\"\n") : 0;
    if (len == 0 || name[len] != '"') {
        prelex_mistake(s->p, pos, "write @include \"FILE\", or @include \"DIR/*.conf\"");
        skip_line(s);
        return;
    }
    s->at = name + len + 1;
    s->p->include(s->p->data, pos, arena_strndup(s->p->scratch, name, len));
}

static bool at_include(const struct scan *s)
{
    static const char word[] = "@include";
    enum prelex_expect expect = s->p->frames[s->p->depth].expect;
    return (expect == EXPECT_KEY || expect == EXPECT_ITEM) &&
           (size_t)(s->end - s->at) >= sizeof word - 1 &&
           memcmp(s->at, word, sizeof word - 1) == 0 && !isalnum(peek(s, sizeof word - 1));
}

static void scan_single_quoted(struct scan *s)
{
    const char *from = ++s->at;
    size_t len = strcspn(from, "'\n");
    prelex_mistake(s->p, s->pos, "strings stand in double quotes");
    s->at += from[len] == '\'' ? len + 1 : len;
    tokens_string(s->p, s->pos, arena_strndup(s->p->scratch, from, len));
}

static void scan_unknown(struct scan *s)
{
    int c = (unsigned char)*s->at++;
    if (c > ' ' && c < 0x7f)
        prelex_mistake(s->p, s->pos, "unexpected \"%c\"", c);
    else
        prelex_mistake(s->p, s->pos, "unexpected byte 0x%02x", (unsigned)c);
}

/* Is the ':' here an assignment ("name: value", which libconfig takes too)? */
static bool is_assignment(const struct scan *s, int c)
{
    return c == '=' || (c == ':' && s->p->frames[s->p->depth].expect == EXPECT_EQUALS);
}

static void scan_token(struct scan *s)
{
    int c = peek(s, 0);
    struct prelex *p = s->p;
    if (c == '"') {
        scan_string(s);
    } else if (c == '\'') {
        scan_single_quoted(s);
    } else if (c == '{' || c == '[' || c == '(') {
        s->at++;
        tokens_open(p, s->pos, (char)c);
    } else if (c == '}' || c == ']' || c == ')') {
        s->at++;
        tokens_close(p, s->pos, (char)c);
    } else if (is_assignment(s, c)) {
        s->at++;
        tokens_equals(p, s->pos);
    } else if (c == ',' || c == ';') {
        s->at++;
        tokens_separator(p, s->pos, (char)c);
    } else if (at_include(s)) {
        scan_include(s);
    } else if (!scan_bare(s)) {
        scan_unknown(s);
    }
}

void prelex_read(struct prelex *p, const char *file, const char *text, size_t len_bytes)
{
    /* NUL-terminated for strcspn, and no NUL within */
    const char *copy = arena_strndup(p->scratch, text, len_bytes);
    struct scan s = {.p = p, .at = copy, .end = copy + strlen(copy), .pos = {file, 1}};
    unsigned base = p->base;
    p->file = p->file ? p->file : file;
    if (memchr(text, '\0', len_bytes))
        prelex_mistake(p, (struct conf_pos){file, 0},
                       "contains a NUL byte: is this a configuration file?");
    if (len_bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        s.at += 3;
    p->base = p->depth;
    p->after_string = false;
    while (s.at < s.end && !p->stop)
        if (!skip_blank(&s))
            scan_token(&s);
    if (!p->stop)
        tokens_file_end(p);
    p->base = base;
}
