/*
 * conf/prelex.h: what stands between a configuration file and libconfig. It splits the bytes into
 * tokens, checks what libconfig would misread or report badly (bare words and units, on/off/yes/no,
 * integers that do not fit or begin with 0, unclosed braces and quotes, duplicate names), takes
 * what libconfig 1.5 would refuse (a BOM, trailing commas, a missing last newline), and writes the
 * tokens out again, one on each line, with the place each came from. After a mistake it goes on
 * with what was probably meant, so that all mistakes of a file are reported at once. No files are
 * opened here (see conf/source.h).
 */
#ifndef BALLAST_CONF_PRELEX_H
#define BALLAST_CONF_PRELEX_H

#include "conf/conf.h"
#include "conf/names.h"

#define PRELEX_DEPTH_MAX  32u
#define PRELEX_ERRORS_MAX 100u
#define PRELEX_KEYS_MAX                                                                            \
    8192u /* in one group: libconfig looks through all of them for each new one */

enum prelex_expect { EXPECT_KEY, EXPECT_EQUALS, EXPECT_VALUE, EXPECT_ITEM, EXPECT_COMMA };

/* An open brace, bracket or parenthesis. */
struct prelex_frame {
    char open; /* 0: the top of the file */
    enum prelex_expect expect;
    uint32_t scope; /* of its keys */
    uint32_t keys;
    struct conf_pos pos;
};

struct prelex {
    struct arena *scratch;
    struct conf_errors *errors;
    const char *file; /* the first one */
    char *text;       /* the tokens: token i is line i + 1 */
    size_t len_bytes, cap_bytes;
    struct conf_pos *places; /* of the tokens */
    uint32_t count, cap;
    struct prelex_frame frames[PRELEX_DEPTH_MAX];
    unsigned depth; /* of the innermost frame; 0 is the top */
    unsigned base;  /* depth at which the file being read began */
    uint32_t scopes;
    struct names keys;
    const char *key; /* the last one read */
    struct conf_pos key_pos;
    bool after_string, comma_held;
    bool broken; /* the structure cannot be guessed: do not parse */
    bool stop;   /* nor is there a point in reading on */
    uint32_t mistakes;
    /* @include "name": reads the files by calling prelex_read again */
    void (*include)(void *data, struct conf_pos pos, const char *name);
    void *data;
};

void prelex_init(struct prelex *p, struct arena *scratch, struct conf_errors *errors);
/* Reads one file's bytes. text may contain anything. */
void prelex_read(struct prelex *p, const char *file, const char *text, size_t len_bytes);
void prelex_mistake(struct prelex *p, struct conf_pos pos, const char *fmt, ...) PRINTF(3, 4);

/* conf/tokens.c: what may follow what. s is NUL-terminated and stays the caller's. */
void tokens_bare(struct prelex *p, struct conf_pos pos, const char *s);
void tokens_string(struct prelex *p, struct conf_pos pos, const char *s);
void tokens_open(struct prelex *p, struct conf_pos pos, char c);
void tokens_close(struct prelex *p, struct conf_pos pos, char c);
void tokens_equals(struct prelex *p, struct conf_pos pos);
void tokens_separator(struct prelex *p, struct conf_pos pos, char c);
/* The last name gets no value: the next one is here already. */
void tokens_no_value(struct prelex *p);
void tokens_file_end(struct prelex *p);
/* conf/emit.c: writes a token. */
void emit_token(struct prelex *p, struct conf_pos pos, const char *s);
void emit_string(struct prelex *p, struct conf_pos pos, const char *s);
/* conf/literal.c: writes the value that a word outside quotes stands for, or complains. */
void literal_emit(struct prelex *p, struct conf_pos pos, const char *s);

#endif
