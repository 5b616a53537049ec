#include "master/reading.h"

#include <errno.h>
#include <string.h>
#include "base/log.h"
#include "base/magic.h"
#include "master/generation.h"
#include "proc/spawn.h"

#define LIMIT_S 300.0 /* beyond what 100,000 certificates take; a hung disk or name server */

/* What the reader leaves in the first bytes of the generation's memory. */
struct findings {
    struct conf *conf; /* NULL: errors say why */
    struct conf_errors errors;
    struct arena arena; /* of the memory, as it was in the end */
};

/* ---- in the process beside ---- */

static int read_it(void *data)
{
    struct master *m = data;
    struct bundle *b = &m->reading.generation->bundle;
    if (bundle_open(b) == -1) {
        log_error("cannot map memory for the configuration: %s", strerror(errno));
        return 1;
    }
    struct findings *f = ARENA_NEW(&b->arena, struct findings);
    conf_errors_init(&f->errors, &b->arena);
    f->conf = generation_read(m, &b->arena, &f->errors);
    f->arena = b->arena;
    bundle_leave(b);
    return 0;
}

/* ---- in the master ---- */

static void copy_errors(const struct conf_errors *from, struct conf_errors *to)
{
    for (const struct conf_error *e = from->first; e != NULL; e = e->next)
        conf_errors_add(to, e->pos, "%s", e->text);
}

static int look(struct generation *g, struct conf_errors *errors)
{
    if (bundle_open(&g->bundle) == -1) {
        conf_errors_add(errors, (struct conf_pos){0}, "no memory for another configuration: %s",
                        strerror(errno));
        return -1;
    }
    const struct findings *f = (const struct findings *)(const void *)g->bundle.address;
    copy_errors(&f->errors, errors);
    g->bundle.arena = f->arena;
    g->conf = f->conf;
    return f->conf != NULL && errors->count == 0 ? 0 : -1;
}

static int judge(const struct reading *r, const struct reaped *how, struct conf_errors *errors)
{
    if (r->aside.late)
        conf_errors_add(errors, (struct conf_pos){0},
                        "the configuration and the files that it names could not be read within "
                        "%.0f s",
                        r->aside.limit_s);
    else if (!how->clean)
        conf_errors_add(errors, (struct conf_pos){0}, "the process that read it died: %s",
                        how->text);
    return how->clean ? look(r->generation, errors) : -1;
}

static void on_end(struct aside *a, const struct reaped *how)
{
    struct master *m = CONTAINER_OF(a, struct master, reading.aside);
    MAGIC_CHECK(m, MASTER_MAGIC);
    struct arena arena;
    struct conf_errors errors;
    struct generation *g = m->reading.generation;
    arena_init(&arena);
    conf_errors_init(&errors, &arena);
    bool good = judge(&m->reading, how, &errors) == 0;
    m->reading.generation = NULL;
    if (good)
        generation_add(m, g);
    else
        generation_free(g);
    m->reading.over(m, good ? g : NULL, &errors);
    arena_free(&arena);
}

int reading_begin(struct master *m, reading_over *over, struct conf_errors *errors)
{
    int pidfd;
    struct generation *g = generation_new(errors);
    if (g == NULL)
        return -1;
    m->reading.generation = g;
    m->reading.over = over;
    struct spawn_errand errand = {
        .title = "reader", .run = read_it, .data = m, .keep_fd = g->bundle.fd};
    if (spawn_errand(&errand, &pidfd) == 0) {
        aside_watch(&m->reading.aside, m->loop, pidfd, LIMIT_S, on_end);
        return 0;
    }
    conf_errors_add(errors, (struct conf_pos){0}, "cannot start a process that reads it: %s",
                    strerror(errno));
    m->reading.generation = NULL;
    generation_free(g);
    return -1;
}

bool reading_runs(const struct master *m)
{
    return m->reading.generation != NULL;
}

void reading_cancel(struct master *m)
{
    if (!reading_runs(m))
        return;
    aside_forget(&m->reading.aside, m->loop);
    generation_free(m->reading.generation);
    m->reading.generation = NULL;
}
