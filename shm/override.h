/*
 * shm/override.h: what an operator set against the configuration file, field by field: the mode
 * (the file knows only "enabled") and the weight. Three layers per backend: what the file says,
 * what was overridden, what is observed. Written by admin, by master at a reload (the file wins
 * when it changed that very field) and at the start (from state_file). Everything here: under the
 * table's lock, readers of the mark included.
 */
#ifndef BALLAST_SHM_OVERRIDE_H
#define BALLAST_SHM_OVERRIDE_H

#include "shm/entry.h"

const char *override_name(enum override_field field); /* "weight" */
bool override_is_set(const struct entry *e, enum override_field field);
/* The value in force: enum entry_mode, or a weight. */
uint32_t override_value(const struct entry *e, enum override_field field);
/* What the file says. */
uint32_t override_configured(const struct entry *e, enum override_field field);
/* Who, by what call. Setting the mode to MODE_ENABLED takes the override away, as does
 * override_clear. */
void override_set(struct table *t, uint32_t index, enum override_field field, uint32_t value,
                  const char *call, const char *by);
void override_clear(struct table *t, uint32_t index, enum override_field field);
/* A tag of everything about a backend that can be configured or overridden: another one whenever
 * any of it changed. */
uint64_t override_tag(const struct table *t, uint32_t index);

#endif
