/*
 * conf/named_files.h: the files that a configuration names besides those it is written in
 * (certificates, passwords, tokens, pages), with a fingerprint each: a reload may change nothing
 * but what is in them.
 */
#ifndef BALLAST_CONF_NAMED_FILES_H
#define BALLAST_CONF_NAMED_FILES_H

#include "conf/walk.h"

struct conf_file {
    const struct conf_file *next;
    const char *path;
    uint64_t fingerprint; /* of its contents */
};

/* source_slurp, remembering what was read. */
char *named_file_read(struct walk *w, struct arena *arena, const char *path, size_t max_bytes,
                      size_t *len_bytes) MUST_CHECK;
/* The file of this path, or NULL. */
const struct conf_file *named_file_find(const struct conf_file *first, const char *path);

#endif
