/*
 * conf/named_files.h: the files that a configuration names besides those it is written in
 * (certificates, passwords, tokens, pages), with a fingerprint each: a reload may change nothing
 * but what is in them, and most reloads change nothing in most of them.
 */
#ifndef BALLAST_CONF_NAMED_FILES_H
#define BALLAST_CONF_NAMED_FILES_H

#include "conf/walk.h"

/* Which file it was, and in which state: any change of its contents changes this as well. */
struct conf_file_id {
    uint64_t device, inode, len_bytes;
    uint64_t modified_ns, changed_ns; /* of the epoch */
    bool settled; /* false: read so soon after a change that another may have the same times */
};

struct conf_file {
    const struct conf_file *next;
    const char *path;
    uint64_t fingerprint; /* of its contents */
    struct conf_file_id id;
};

/* source_slurp, remembering what was read. */
char *named_file_read(struct walk *w, struct arena *arena, const char *path, size_t max_bytes,
                      size_t *len_bytes) MUST_CHECK;
/* Are its contents what they were when w->former was loaded? It is read only if the file system
 * cannot tell. */
bool named_file_unchanged(struct walk *w, const char *path, size_t max_bytes);
/* All of a list, by path. */
void named_files_index(const struct conf_file *first, struct catalog *out);

#endif
