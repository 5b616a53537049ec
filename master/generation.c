#include "master/generation.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "master/adopt.h"

/* The old program's turn again: what it served before, whatever the file says by now. */
static struct conf *read_again(const struct master *m, struct arena *arena,
                               struct conf_errors *errors)
{
    char path[PATH_MAX];
    const char *file = m->options->conf_path;
    struct conf *conf = conf_load_text(m->takeover.configuration, "configuration", arena, errors);
    if (conf != NULL && file != NULL && realpath(file, path) != NULL)
        conf->path = arena_strdup(arena, path);
    return conf;
}

struct conf *generation_read(const struct master *m, struct arena *arena,
                             struct conf_errors *errors)
{
    if (m->takeover.back && m->takeover.configuration != NULL)
        return read_again(m, arena, errors);
    if (m->options->conf_text != NULL)
        return conf_load_text(m->options->conf_text, "command line", arena, errors);
    return conf_load_after(m->options->conf_path, m->current ? m->current->conf : NULL, arena,
                           errors);
}

static void no_memory(struct conf_errors *errors)
{
    conf_errors_add(errors, (struct conf_pos){0}, "no memory for another configuration: %s",
                    errno == EBUSY ? "requests that began with older ones still run"
                                   : strerror(errno));
}

struct generation *generation_new(struct conf_errors *errors)
{
    struct generation *g = calloc(1, sizeof *g);
    if (g != NULL && bundle_take(&g->bundle) == 0)
        return g;
    no_memory(errors);
    free(g);
    return NULL;
}

void generation_add(struct master *m, struct generation *g)
{
    g->number = ++m->last_generation;
    g->conf->generation = g->number;
    g->next = m->generations;
    m->generations = g;
}

void generation_free(struct generation *g)
{
    bundle_end(&g->bundle);
    free(g);
}

struct generation *generation_load(struct master *m, struct conf_errors *errors)
{
    struct generation *g = generation_new(errors);
    if (g == NULL)
        return NULL;
    if (bundle_open(&g->bundle) == 0)
        g->conf = generation_read(m, &g->bundle.arena, errors);
    else
        no_memory(errors);
    if (g->conf == NULL || errors->count > 0) {
        generation_free(g);
        return NULL;
    }
    generation_add(m, g);
    return g;
}

int generation_seal(struct generation *g)
{
    return bundle_seal(&g->bundle, g->conf);
}

void generation_hold(struct generation *g, uint32_t slot)
{
    g->holders |= 1ull << slot;
}

void generation_forget(struct master *m, struct generation *g)
{
    struct generation **at = &m->generations;
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    generation_free(g);
}

bool generation_collect(struct master *m)
{
    bool any = false;
    for (struct generation *g = m->generations, *next; g != NULL; g = next) {
        next = g->next;
        if (g->holders != 0 || g == m->current || g == m->reload.next)
            continue;
        log_debug("generation freed: generation=%u", g->number);
        generation_forget(m, g);
        any = true;
    }
    return any;
}

void generation_drop(struct master *m, uint32_t number, uint32_t slot)
{
    for (struct generation *g = m->generations; g != NULL; g = g->next)
        if (number == 0 || g->number == number)
            g->holders &= ~(1ull << slot);
    if (generation_collect(m))
        adopt_sweep(m);
}
