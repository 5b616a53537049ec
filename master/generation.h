/*
 * master/generation.h: configurations in memory: loading one into a bundle, who refers to it,
 * giving it back when nobody does. The current generation is kept whoever refers to it.
 */
#ifndef BALLAST_MASTER_GENERATION_H
#define BALLAST_MASTER_GENERATION_H

#include "master/state.h"

/* Reads the configuration into a new bundle, not sealed yet. NULL with all problems in errors. For
 * the start: a running master does not wait for that (master/reading.h). */
struct generation *generation_load(struct master *m, struct conf_errors *errors) MUST_CHECK;
/* Its steps. New: memory, not mapped. Free: of one that was not added. */
struct generation *generation_new(struct conf_errors *errors) MUST_CHECK;
struct conf *generation_read(const struct master *m, struct arena *arena,
                             struct conf_errors *errors) MUST_CHECK;
void generation_add(struct master *m, struct generation *g);
void generation_free(struct generation *g);
int generation_seal(struct generation *g) MUST_CHECK; /* 0, or -1 with errno */
void generation_hold(struct generation *g, uint32_t slot);
/* A process let go of one generation, or (number 0) of all. Frees what nobody holds any more. */
void generation_drop(struct master *m, uint32_t number, uint32_t slot);
void generation_forget(struct master *m, struct generation *g); /* never served, or the end */
/* Frees what nobody holds. Returns whether anything was freed. */
bool generation_collect(struct master *m);

#endif
