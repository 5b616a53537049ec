#include "conf/named_files.h"

#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/hash.h"
#include "conf/source.h"

#define MARK       "# contents "
#define SETTLED_NS 3000000000ull /* the coarsest times of a file system in use: two seconds */

static const struct conf_file *add(const struct conf_file **first, struct arena *arena,
                                   const char *path, const struct conf_file *like)
{
    struct conf_file *f = ARENA_NEW(arena, struct conf_file);
    *f = *like;
    f->next = *first;
    f->path = arena_strdup(arena, path);
    *first = f;
    return f;
}

static void remember(struct walk *w, const char *path, const struct conf_file *like)
{
    if (!catalog_find(&w->files, path)) {
        const struct conf_file *f = add(&w->conf->files, w->arena, path, like);
        catalog_add(&w->files, f->path, f);
    }
}

void named_files_index(const struct conf_file *first, struct catalog *out)
{
    for (; first; first = first->next)
        catalog_add(out, first->path, first);
}

/* ---- the state of a file ---- */

static uint64_t ns_of(struct statx_timestamp t)
{
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

/* Asks the server too, where there is one. False: nobody knows. */
static bool identify(const char *path, struct conf_file_id *id)
{
    struct statx st;
    if (statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &st) == -1)
        return false;
    *id = (struct conf_file_id){
        .device = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor,
        .inode = st.stx_ino,
        .len_bytes = st.stx_size,
        .modified_ns = ns_of(st.stx_mtime),
        .changed_ns = ns_of(st.stx_ctime),
    };
    uint64_t now_ns = clock_wall_ms() * 1000000u;
    uint64_t last_ns = id->modified_ns > id->changed_ns ? id->modified_ns : id->changed_ns;
    id->settled = last_ns < now_ns && now_ns - last_ns > SETTLED_NS;
    return true;
}

static bool same_state(const struct conf_file_id *a, const struct conf_file_id *b)
{
    return a->device == b->device && a->inode == b->inode && a->len_bytes == b->len_bytes &&
           a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}

/* ---- reading ---- */

/* The state comes from before the bytes: who changes it meanwhile makes it look changed. */
char *named_file_read(struct walk *w, struct arena *arena, const char *path, size_t max_bytes,
                      size_t *len_bytes)
{
    static const struct hash_key plain;
    struct conf_file like = {0};
    (void)identify(path, &like.id);
    char *text = source_slurp(path, arena, max_bytes, false, len_bytes);
    if (text) {
        like.fingerprint = hash_bytes(plain, text, *len_bytes);
        remember(w, path, &like);
    }
    return text;
}

static bool same_contents(struct walk *w, const char *path, size_t max_bytes,
                          const struct conf_file *before)
{
    size_t len = 0;
    struct arena passing;
    arena_init(&passing);
    char *text = named_file_read(w, &passing, path, max_bytes, &len);
    if (text)
        OPENSSL_cleanse(text, len);
    arena_free(&passing);
    const struct conf_file *now = text ? catalog_find(&w->files, path) : NULL;
    return now && now->fingerprint == before->fingerprint;
}

bool named_file_unchanged(struct walk *w, const char *path, size_t max_bytes)
{
    if (w->former && !w->former_files.names.arena) {
        catalog_init(&w->former_files, w->scratch);
        named_files_index(w->former->files, &w->former_files);
    }
    const struct conf_file *before = w->former ? catalog_find(&w->former_files, path) : NULL;
    const struct conf_file *now = before ? catalog_find(&w->files, path) : NULL;
    struct conf_file_id id;
    if (!before || now)
        return now && now->fingerprint == before->fingerprint;
    if (!before->id.settled || !identify(path, &id) || !same_state(&id, &before->id))
        return same_contents(w, path, max_bytes, before);
    remember(w, path, before);
    return true;
}

/* ---- as text ---- */

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
        struct conf_file like = {0};
        int at = 0;
        line += *line == '\n';
        if (sscanf(line, MARK "%16" SCNx64 " %n", &like.fingerprint, &at) == 1 && at > 0)
            (void)add(&c->files, arena, arena_strndup(arena, line + at, strcspn(line + at, "\n")),
                      &like);
    }
}
