#include "conf/named_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "conf/source.h"

#define MARK "# contents "

static void add(const struct conf_file **first, struct arena *arena, const char *path,
                uint64_t fingerprint)
{
    struct conf_file *f = ARENA_NEW(arena, struct conf_file);
    *f = (struct conf_file){*first, arena_strdup(arena, path), fingerprint};
    *first = f;
}

const struct conf_file *named_file_find(const struct conf_file *first, const char *path)
{
    while (first && strcmp(first->path, path) != 0)
        first = first->next;
    return first;
}

char *named_file_read(struct walk *w, struct arena *arena, const char *path, size_t max_bytes,
                      size_t *len_bytes)
{
    static const struct hash_key plain;
    char *text = source_slurp(path, arena, max_bytes, false, len_bytes);
    if (text && !named_file_find(w->conf->files, path))
        add(&w->conf->files, w->arena, path, hash_bytes(plain, text, *len_bytes));
    return text;
}

char *conf_fingerprints(const struct conf *c)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    for (const struct conf_file *f = c->files; f; f = f->next)
        if (!strchr(f->path, '\n'))
            fprintf(out, MARK "%016" PRIx64 " %s\n", f->fingerprint, f->path);
    return fclose(out) == 0 ? text : NULL;
}

void conf_take_fingerprints(struct conf *c, const char *text, struct arena *arena)
{
    c->files = NULL;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        uint64_t fingerprint;
        int at = 0;
        line += *line == '\n';
        if (sscanf(line, MARK "%16" SCNx64 " %n", &fingerprint, &at) == 1 && at > 0)
            add(&c->files, arena, arena_strndup(arena, line + at, strcspn(line + at, "\n")),
                fingerprint);
    }
}
