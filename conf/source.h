/*
 * conf/source.h: the files of a configuration: reads them, follows @include (relative to the
 * including file, globs, sorted, at most SOURCE_DEPTH_MAX deep) and feeds the pre-lexer. Errors
 * name the file as the user gave it, with errno's text.
 */
#ifndef BALLAST_CONF_SOURCE_H
#define BALLAST_CONF_SOURCE_H

#include "conf/prelex.h"

#define SOURCE_DEPTH_MAX 8u
#define SOURCE_FILES_MAX 4096u
#define SOURCE_BYTES_MAX                                                                           \
    (16u << 20) /* of all files together: what the generation's arena is sized for */

struct source {
    struct prelex lex; /* the result */
    struct arena *scratch;
    struct conf_errors *errors;
    const char *open[SOURCE_DEPTH_MAX + 1]; /* the chain of files being read */
    unsigned depth;
    struct names files; /* seen, in order: for sorting errors */
    uint32_t file_count;
    uint32_t reads;
    size_t left_bytes;
    bool from_text; /* no file: nothing may be included */
};

void source_init(struct source *s, struct arena *scratch, struct conf_errors *errors);
void source_read_file(struct source *s, const char *path);
void source_read_text(struct source *s, const char *name, const char *text);

/* The whole of a regular file (any kind but a directory when `special`), NUL-terminated, in the
 * arena; NULL with errno (EFBIG: longer than max_bytes). */
char *source_slurp(const char *path, struct arena *arena, size_t max_bytes, bool special,
                   size_t *len_bytes) MUST_CHECK;
/* "dir/" of a path, "" without a slash. */
const char *source_directory(const char *path, struct arena *arena);
/* path itself when absolute; else below dir; else below the working directory. */
const char *source_absolute(const char *dir, const char *path, struct arena *arena);

#endif
