/* From bytes to a configuration: source -> prelex -> libconfig -> walk -> validate. */
#include <string.h>
#include "conf/health.h"
#include "conf/source.h"
#include "conf/validate.h"
#include "shm/layout.h"

#define TLS_BYTES_MAX (128u << 20) /* of all certificates: half of what a generation may be */

/* Where errors of a file come among the others: files in the order in which they were first read.
 */
static uint32_t file_rank(const struct source *s, const struct conf_error *e)
{
    return names_find(&s->files, 0, e->pos.file); /* NAMES_NONE: last */
}

static bool comes_before(const struct source *s, const struct conf_error *a,
                         const struct conf_error *b)
{
    uint32_t x = file_rank(s, a), y = file_rank(s, b);
    return x != y ? x < y : a->pos.line < b->pos.line;
}

/* Merges two sorted lists; among equals, a's come first. */
static struct conf_error *merge(const struct source *s, struct conf_error *a, struct conf_error *b)
{
    struct conf_error *first = NULL, **last = &first;
    while (a && b) {
        struct conf_error **from = comes_before(s, b, a) ? &b : &a;
        *last = *from;
        *from = (*from)->next;
        last = &(*last)->next;
    }
    *last = a ? a : b;
    return first;
}

static struct conf_error *sort(const struct source *s, struct conf_error *list, uint32_t count)
{
    if (count < 2)
        return list;
    struct conf_error *middle = list;
    for (uint32_t i = 1; i < count / 2; i++)
        middle = middle->next;
    struct conf_error *rest = middle->next;
    middle->next = NULL;
    return merge(s, sort(s, list, count / 2), sort(s, rest, count - count / 2));
}

static void sort_errors(const struct source *s, struct conf_errors *errors)
{
    errors->first = sort(s, errors->first, errors->count);
    while (errors->last && errors->last->next)
        errors->last = errors->last->next;
    for (struct conf_error *e = errors->first; e; e = e->next)
        errors->last = e;
}

static struct conf *build(const struct source *s, const char *path, struct arena *arena,
                          const struct node *root, const struct conf *former)
{
    struct walk w = {.arena = arena,
                     .scratch = s->scratch,
                     .errors = s->errors,
                     .lexical = s->errors->last,
                     .conf = ARENA_NEW(arena, struct conf),
                     .dir = source_directory(path, s->scratch),
                     .backends_left = ENTRY_MAX,
                     .tls_left_bytes = TLS_BYTES_MAX,
                     .former = former};
    catalog_init(&w.files, s->scratch);
    names_init(&w.pools, s->scratch);
    names_init(&w.backends, s->scratch);
    names_init(&w.conditions, s->scratch);
    names_init(&w.regexes, s->scratch);
    w.conf->path = *path ? source_absolute("", path, arena) : arena_strdup(arena, "");
    walk_root(&w, root);
    validate_derive(w.conf);
    health_resolve(&w, w.conf);
    validate_conf(&w);
    return w.conf;
}

static struct conf *load(struct source *s, const char *path, struct arena *arena,
                         const struct conf *former)
{
    struct conf *c = NULL;
    const struct node *root = NULL;
    if (!s->lex.broken)
        root = load_tree(&s->lex, s->scratch, s->errors);
    if (root)
        c = build(s, path, arena, root, former);
    sort_errors(s, s->errors);
    return s->errors->count ? NULL : c;
}

struct conf *conf_load(const char *path, struct arena *arena, struct conf_errors *errors)
{
    return conf_load_after(path, NULL, arena, errors);
}

struct conf *conf_load_after(const char *path, const struct conf *former, struct arena *arena,
                             struct conf_errors *errors)
{
    struct arena scratch;
    struct source s;
    arena_init(&scratch);
    source_init(&s, &scratch, errors);
    source_read_file(&s, path);
    struct conf *c = load(&s, path, arena, former);
    arena_free(&scratch);
    return c;
}

struct conf *conf_load_text(const char *text, const char *name, struct arena *arena,
                            struct conf_errors *errors)
{
    struct arena scratch;
    struct source s;
    arena_init(&scratch);
    source_init(&s, &scratch, errors);
    source_read_text(&s, name, text);
    struct conf *c = load(&s, "", arena, NULL);
    arena_free(&scratch);
    return c;
}
