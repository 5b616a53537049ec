#include "conf/source.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 512u

/* ---- reading ---- */

/* All bytes of fd, in the arena. NULL with errno. */
static char *read_all(int fd, struct arena *arena, size_t expected_bytes, size_t max_bytes,
                      size_t *len_bytes)
{
    size_t cap = (expected_bytes < max_bytes ? expected_bytes : max_bytes) + CHUNK, len = 0;
    char *buf = arena_alloc(arena, cap);
    for (;;) {
        ssize_t got = read(fd, buf + len, cap - len - 1);
        if (got == -1 && errno == EINTR)
            continue;
        if (got == -1)
            return NULL;
        if (got == 0)
            break;
        len += (size_t)got;
        if (len > max_bytes) {
            errno = EFBIG;
            return NULL;
        }
        if (len + 1 == cap) {
            char *more = arena_alloc(arena, cap * 2);
            memcpy(more, buf, len);
            buf = more;
            cap *= 2;
        }
    }
    buf[len] = '\0';
    *len_bytes = len;
    return buf;
}

/* A regular file, unless `special` things (a pipe, a terminal) are welcome; 0 or -1 with errno. */
static int check_kind(const struct stat *st, bool special)
{
    errno = S_ISDIR(st->st_mode) ? EISDIR : EINVAL;
    return S_ISREG(st->st_mode) || (special && !S_ISDIR(st->st_mode)) ? 0 : -1;
}

char *source_slurp(const char *path, struct arena *arena, size_t max_bytes, bool special,
                   size_t *len_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (special ? 0 : O_NONBLOCK));
    if (fd == -1)
        return NULL;
    char *text = NULL;
    struct stat st;
    if (fstat(fd, &st) == 0 && check_kind(&st, special) == 0)
        text = read_all(fd, arena, (size_t)st.st_size, max_bytes, len_bytes);
    int saved = errno;
    close(fd);
    errno = saved;
    return text;
}

/* ---- names ---- */

const char *source_directory(const char *path, struct arena *arena)
{
    const char *slash = strrchr(path, '/');
    return slash ? arena_strndup(arena, path, (size_t)(slash - path) + 1) : "";
}

const char *source_absolute(const char *dir, const char *path, struct arena *arena)
{
    if (*path == '/')
        return arena_strdup(arena, path);
    if (*dir == '/')
        return arena_printf(arena, "%s%s", dir, path);
    char *cwd = getcwd(NULL, 0);
    const char *absolute = arena_printf(arena, "%s/%s%s", cwd ? cwd : "", dir, path);
    free(cwd);
    return absolute;
}

/* The directory is a name, not a pattern. */
static const char *escape_glob(const char *dir, struct arena *arena)
{
    char *escaped = arena_alloc(arena, strlen(dir) * 2 + 1), *out = escaped;
    for (; *dir; dir++) {
        if (strchr("*?[]\\", *dir))
            *out++ = '\\';
        *out++ = *dir;
    }
    return escaped;
}

/* ---- files ---- */

static void on_include(void *data, struct conf_pos pos, const char *name);

void source_init(struct source *s, struct arena *scratch, struct conf_errors *errors)
{
    *s = (struct source){.scratch = scratch, .errors = errors, .left_bytes = SOURCE_BYTES_MAX};
    prelex_init(&s->lex, scratch, errors);
    s->lex.include = on_include;
    s->lex.data = s;
    names_init(&s->files, scratch);
}

static void feed(struct source *s, const char *path, const char *text, size_t len)
{
    s->open[s->depth++] = path;
    if (names_add(&s->files, 0, path, s->file_count) == NAMES_NONE)
        s->file_count++;
    prelex_read(&s->lex, path, text, len);
    s->depth--;
}

/* pos: where the file was asked for; line 0: on the command line. */
static void read_file(struct source *s, const char *path, struct conf_pos pos)
{
    size_t len;
    char *text = NULL;
    errno = 0;
    if (s->reads++ < SOURCE_FILES_MAX)
        text = source_slurp(path, s->scratch, s->left_bytes, pos.line == 0, &len);
    if (text) {
        s->left_bytes -= len;
        feed(s, path, text, len);
        return;
    }
    s->lex.broken = true;
    const char *why = strerror(errno);
    if (errno == EFBIG)
        why = arena_printf(s->scratch, "the configuration is longer than %u MiB",
                           SOURCE_BYTES_MAX >> 20);
    else if (errno == 0)
        why = arena_printf(s->scratch, "more than %u files are read", SOURCE_FILES_MAX);
    else if (errno == EINVAL)
        why = "not a regular file";
    if (pos.line)
        prelex_mistake(&s->lex, pos, "cannot read \"%s\": %s", path, why);
    else
        prelex_mistake(&s->lex, (struct conf_pos){path, 0}, "cannot read: %s", why);
}

static bool is_being_read(const struct source *s, const char *path)
{
    for (unsigned i = 0; i < s->depth; i++)
        if (strcmp(s->open[i], path) == 0)
            return true;
    return false;
}

static void include_one(struct source *s, struct conf_pos pos, const char *path)
{
    if (!is_being_read(s, path) && s->depth <= SOURCE_DEPTH_MAX) {
        read_file(s, path, pos);
        return;
    }
    s->lex.broken = true;
    if (s->depth > SOURCE_DEPTH_MAX)
        prelex_mistake(&s->lex, pos, "@include is nested more than %u deep", SOURCE_DEPTH_MAX);
    else
        prelex_mistake(&s->lex, pos, "\"%s\" includes itself", path);
}

static void include_glob(struct source *s, struct conf_pos pos, const char *pattern)
{
    glob_t found;
    int rc = glob(pattern, 0, NULL, &found);
    if (rc != 0 && rc != GLOB_NOMATCH) {
        prelex_mistake(&s->lex, pos, "cannot look for \"%s\"", pattern);
        return;
    }
    for (size_t i = 0; rc == 0 && i < found.gl_pathc && !s->lex.stop; i++)
        include_one(s, pos, arena_strdup(s->scratch, found.gl_pathv[i]));
    if (rc == 0)
        globfree(&found);
}

static void on_include(void *data, struct conf_pos pos, const char *name)
{
    struct source *s = data;
    if (s->from_text) {
        prelex_mistake(&s->lex, pos, "@include needs a file to be relative to");
        return;
    }
    const char *dir = *name == '/' ? "" : source_directory(pos.file, s->scratch);
    if (strpbrk(name, "*?["))
        include_glob(s, pos, arena_printf(s->scratch, "%s%s", escape_glob(dir, s->scratch), name));
    else
        include_one(s, pos, arena_printf(s->scratch, "%s%s", dir, name));
}

void source_read_file(struct source *s, const char *path)
{
    read_file(s, arena_strdup(s->scratch, path), (struct conf_pos){"", 0});
}

void source_read_text(struct source *s, const char *name, const char *text)
{
    s->from_text = true;
    size_t len = strlen(text);
    if (len > SOURCE_BYTES_MAX) {
        s->lex.broken = true;
        prelex_mistake(&s->lex, (struct conf_pos){name, 0}, "longer than %u MiB",
                       SOURCE_BYTES_MAX >> 20);
        return;
    }
    feed(s, arena_strdup(s->scratch, name), text, len);
}
